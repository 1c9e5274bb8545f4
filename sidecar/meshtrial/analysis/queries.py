"""The SQL of the analysis: reduce to units first, then to sums by arm.

Randomisation is by unit, so a unit counts once, in the arm that it first met (intention to treat).
Times are nanoseconds since 1970, as 64-bit integers.
"""

UNITS = """
CREATE OR REPLACE TEMP TABLE units AS
SELECT Unit, min(epoch_ns(Timestamp)) AS First,
  arg_min(Arm, (Timestamp, TraceId, SpanId)) AS Arm, arg_min(Phase, (Timestamp, TraceId, SpanId)) AS Phase
FROM otel_traces
WHERE SpanName = 'meshtrial.exposure' AND Experiment = $experiment AND UnitKind = $kind AND Exposed
  AND Unit IS NOT NULL AND Arm IS NOT NULL AND Phase IS NOT NULL
GROUP BY Unit
"""
"""One row for each unit that ever met the experiment."""

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

EXPOSED = "SELECT Arm, count(*) FROM units WHERE Phase = $phase AND First <= $until GROUP BY Arm"
"""Units first exposed before the cut, whether their windows have closed or not."""

KEYS = """
SELECT DISTINCT KeyId FROM otel_traces
WHERE SpanName IN ('meshtrial.exposure', 'meshtrial.outcome') AND KeyId IS NOT NULL ORDER BY 1 LIMIT 20
"""

STARTED = "SELECT min(First) FROM units WHERE Phase = $phase"

SIZE_REACHED = """
SELECT First FROM units WHERE Phase = $phase ORDER BY First LIMIT 1 OFFSET $planned - 1
"""
"""First exposure of the unit that completes the planned size; no row before that."""

CLOSED = "SELECT count(*) FROM units WHERE Phase = $phase AND First <= $until - $window"

VALUES = """
CREATE OR REPLACE TEMP TABLE unit_values AS
SELECT u.Unit, u.Arm, count(o.Unit) AS Outcomes, coalesce(sum(o.Value), 0.0) AS Total
FROM units u
LEFT JOIN (
  SELECT Unit, epoch_ns(Timestamp) AS Time, OutcomeValues[$value] AS Value
  FROM otel_traces
  WHERE SpanName = 'meshtrial.outcome' AND Outcome = $outcome AND UnitKind = $kind
) o ON o.Unit = u.Unit AND o.Time >= u.First AND o.Time - u.First < $window
WHERE u.Phase = $phase AND u.First <= $until - $closing
GROUP BY u.Unit, u.Arm
"""
"""One row for each unit whose windows have closed, with what it did within the metric's window."""

PROPORTIONS = "SELECT Arm, count(*), count(*) FILTER (Outcomes > 0) FROM unit_values GROUP BY Arm"

SHIFT = "SELECT coalesce(avg(Total), 0.0) FROM unit_values"
"""A constant near the data: sums around it keep their digits (see `stats.moments`)."""

MOMENTS = """
SELECT Arm, count(*), sum(Total - $shift), sum((Total - $shift) * (Total - $shift))
FROM unit_values GROUP BY Arm
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
