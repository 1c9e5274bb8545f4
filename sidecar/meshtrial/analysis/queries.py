"""The SQL of the analysis: reduce to units first, then to sums by arm.

Randomisation is by unit, so a unit counts once, in the arm that it first met (intention to treat).
Times are nanoseconds since 1970, as 64-bit integers.
"""

_OF_EXPOSED_UNITS = """
WHERE SpanName = 'meshtrial.exposure' AND Experiment = $experiment AND UnitKind = $kind AND Exposed
  AND Unit IS NOT NULL AND Arm IS NOT NULL AND Phase IS NOT NULL
"""

_FIRST_EXPOSURES = """
CREATE OR REPLACE TEMP TABLE <table> AS
WITH firsts AS (SELECT <key>, min(Timestamp) AS Time FROM otel_traces <where> GROUP BY ALL)
SELECT <key>, epoch_ns(Time) AS First, Arm, Phase,
  CASE WHEN $several THEN coalesce(Cohort, '') ELSE 'default' END AS Cohort
FROM otel_traces JOIN firsts USING (<key>) <where> AND Timestamp = Time
QUALIFY row_number() OVER (PARTITION BY <key> ORDER BY TraceId, SpanId) = 1
""".replace("<where>", _OF_EXPOSED_UNITS)
"""The earliest time first, then of the rows of that time the one of the least ids: a tenth of the CPU
time that the least (time, ids) of all rows takes."""

UNITS = _FIRST_EXPOSURES.replace("<table>", "units").replace("<key>", "Unit")
"""One row for each unit that ever met the experiment."""

WINDOWS = _FIRST_EXPOSURES.replace("<table>", "units").replace("<key>", 'Unit, "Window"')
"""The same of a switchback, whose unit is a key in one window."""

GROUPS = _FIRST_EXPOSURES.replace("<table>", "groups").replace("<key>", '"Group"')
"""One row for each group of which a member met the experiment."""

PHASES = "SELECT Phase, count(*) FROM units GROUP BY Phase"

OTHER_KINDS = """
SELECT count(DISTINCT Unit) FROM otel_traces
WHERE SpanName = 'meshtrial.exposure' AND Experiment = $experiment AND UnitKind <> $kind AND Exposed
"""
"""Units of another kind: the plan split by another header once."""

OTHER_PLANS = """
SELECT count(DISTINCT Unit) FROM otel_traces
WHERE SpanName = 'meshtrial.exposure' AND Experiment = $experiment AND Phase = $phase AND Plan <> $plan
  AND Exposed
"""

STORED = """
SELECT DISTINCT Experiment FROM otel_traces WHERE SpanName = 'meshtrial.exposure' AND Experiment IS NOT NULL
ORDER BY 1 LIMIT 20
"""

OUTCOME_NAMES = """
SELECT DISTINCT Outcome FROM otel_traces WHERE SpanName = 'meshtrial.outcome' ORDER BY 1 LIMIT 20
"""

EXPOSED = "SELECT Cohort, Arm, count(*) FROM units WHERE Phase = $phase AND First <= $until GROUP BY ALL"
"""Units first exposed before the cut, whether their windows have closed or not."""

EXPOSED_GROUPS = EXPOSED.replace("units", "groups")

_MET_ANOTHER_ARM = """
SELECT count(DISTINCT u.Unit) FROM units u JOIN otel_traces t ON t.Unit = u.Unit AND t.Arm <> u.Arm
WHERE t.SpanName = 'meshtrial.exposure' AND t.Experiment = $experiment AND t.UnitKind = $kind
  AND t.Phase = $phase AND u.Phase = $phase AND epoch_ns(t.Timestamp) <= $until
"""

MOVED = _MET_ANOTHER_ARM + "AND t.Exposed AND coalesce(t.Cohort, '') <> u.Cohort"
"""Units that came into another cohort, and with it into another arm."""

FORCED = _MET_ANOTHER_ARM + "AND t.Reason = 'targeting_match'"
"""Units that a tester's signed header sent to another arm than theirs."""

KEYS = """
SELECT DISTINCT KeyId FROM otel_traces
WHERE SpanName IN ('meshtrial.exposure', 'meshtrial.outcome') AND KeyId IS NOT NULL ORDER BY 1 LIMIT 20
"""

STARTED = "SELECT min(First) FROM units WHERE Phase = $phase"

SIZE_REACHED = """
SELECT First FROM units WHERE Phase = $phase AND list_contains($shared, Cohort)
ORDER BY First LIMIT 1 OFFSET $planned - 1
"""
"""First exposure of the unit that completes the planned size; no row before that."""

CLOSED = """
SELECT count(*) FROM units
WHERE Phase = $phase AND First <= $until - $closing AND list_contains($shared, Cohort)
"""

VALUES = """
CREATE OR REPLACE TEMP TABLE unit_values AS
SELECT u.Unit, u.Cohort, u.Arm, count(o.Unit) AS Outcomes, coalesce(sum(o.Value), 0.0) AS Total
FROM units u
LEFT JOIN (
  SELECT Unit, epoch_ns(Timestamp) AS Time, OutcomeValues[$value] AS Value
  FROM otel_traces
  WHERE SpanName = 'meshtrial.outcome' AND Outcome = $outcome AND UnitKind = $kind
) o ON o.Unit = u.Unit AND o.Time >= u.First AND o.Time - u.First < $window
WHERE u.Phase = $phase AND u.First <= $until - $closing AND list_contains($shared, u.Cohort)
GROUP BY u.Unit, u.Cohort, u.Arm
"""
"""One row for each unit whose windows have closed, with what it did within the metric's window."""

PROPORTIONS = """
SELECT Cohort, Arm, count(*), count(*) FILTER (Outcomes > 0) FROM unit_values GROUP BY ALL
"""

SHIFT = "SELECT coalesce(avg(Total), 0.0) FROM unit_values"
"""A constant near the data: sums around it keep their digits (see `stats.moments`)."""

MOMENTS = """
SELECT Cohort, Arm, count(*), sum(Total - $shift), sum((Total - $shift) * (Total - $shift))
FROM unit_values GROUP BY ALL
"""

STRAY = """
SELECT
  count(*) FILTER (u.Unit IS NULL),
  count(*) FILTER (o.Time < u.First),
  count(*) FILTER (o.Time - u.First >= $window),
  count(*) FILTER (o.Time >= u.First AND o.Time - u.First < $window AND o.Lacking)
FROM (
  SELECT Unit, epoch_ns(Timestamp) AS Time, $value IS NOT NULL AND OutcomeValues[$value] IS NULL AS Lacking
  FROM otel_traces
  WHERE SpanName = 'meshtrial.outcome' AND Outcome = $outcome AND UnitKind = $kind
) o LEFT JOIN units u ON u.Unit = o.Unit
"""
"""Outcomes that no unit's value holds: of units never exposed, before exposure, after the window; and
those within it that lack the field that is summed."""
