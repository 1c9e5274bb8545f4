"""What the document shows beside the verdict: effects over time and by groups of units. Nothing here decides.

Each section has `withheld`: why it is not shown, in which case its lists are empty.
"""

import msgspec


class EffectPart(msgspec.Struct, frozen=True, kw_only=True):
    """An effect: the arm's value minus control's."""

    control_units: int
    arm_units: int
    effect: float | None
    standard_error: float | None
    interval: tuple[float, float] | None
    p_value: float | None
    """Of no effect, as it is: adjusted for nothing."""
    not_estimable: str | None


class HeterogeneityPart(msgspec.Struct, frozen=True, kw_only=True):
    """A test that several effects, or values, are one."""

    statistic: float | None
    """Cochran's Q."""
    freedom: int | None
    p_value: float | None
    adjusted_p_value: float | None
    """Benjamini and Hochberg's over all fields, primaries and arms of the section."""
    not_estimable: str | None


class PointPart(msgspec.Struct, frozen=True, kw_only=True):
    """One point of a curve."""

    day: str
    """Start of its first day, RFC 3339; days are 24 periods, of an hour in trials of a day or more."""
    days: int
    """Neighbouring days taken together."""
    effect: EffectPart


class ChangePart(msgspec.Struct, frozen=True, kw_only=True):
    """Early against late units."""

    early: EffectPart
    late: EffectPart
    change: float | None
    """Late less early."""
    interval: tuple[float, float] | None
    p_value: float | None
    not_estimable: str | None


class TrendPart(msgspec.Struct, frozen=True, kw_only=True):
    """The effect by days since a unit's first exposure."""

    together: int
    """Days that are taken together as one: 1 but for windows of over 90."""
    days: tuple[EffectPart, ...]
    """On the outcomes of each day, from 0, of all units."""
    slope: float | None
    """How much the effect changes a day."""
    interval: tuple[float, float] | None
    p_value: float | None
    """Clustered by unit."""
    relative_slope: float | None
    """The arm's slope as a share of its value on a mean day, less control's as a share of its own; 0 where
    the lift is a constant share of what changes by day. null where an arm's value cannot be told from 0."""
    relative_interval: tuple[float, float] | None
    drift: str | None
    """novelty (towards 0) or primacy (away from 0) where the slope's interval leaves 0 out, and that of the
    relative slope too, to the same side; else none."""
    not_estimable: str | None


class CoursePart(msgspec.Struct, frozen=True, kw_only=True):
    """One primary of one arm over time."""

    metric: str
    arm: str
    grown_alpha: float
    """Error rate of the grown curve's intervals, all together: that of the primary."""
    alpha: float
    """Of each other interval alone."""
    grown: tuple[PointPart, ...]
    """The effect on all units up to each point, with a confidence sequence."""
    by_day: tuple[PointPart, ...]
    """The effect on the units first exposed on each point's days."""
    by_first_exposure: ChangePart | None
    since_exposure: TrendPart | None
    """null where a metric has no outcomes of days, or a window of under two."""
    not_estimable: str | None


class OverTimePart(msgspec.Struct, frozen=True, kw_only=True):
    """How the effects came about."""

    withheld: str | None
    courses: tuple[CoursePart, ...]


class ValuePart(msgspec.Struct, frozen=True, kw_only=True):
    """The effect on the units of one value of a field."""

    value: str | None
    """"" of units that have none; null for all values beyond the 20 with most units, together."""
    joined: int
    """How many values those are; else 1."""
    effect: EffectPart
    tested: bool
    """Whether it has units enough to take part in the tests."""


class BreakdownPart(msgspec.Struct, frozen=True, kw_only=True):
    """One primary of one arm by one field."""

    field: str
    """A stratum of the plan, `cohort` or `former arm`."""
    metric: str
    arm: str
    alpha: float
    """Of each interval alone."""
    values: tuple[ValuePart, ...]
    """Those with most units first."""
    interaction: HeterogeneityPart
    """Whether the effects differ."""


class PostStratifiedPart(msgspec.Struct, frozen=True, kw_only=True):
    """One primary of one arm, with what the arms differ by in their mix of strata taken off."""

    metric: str
    arm: str
    alpha: float
    strata: int | None
    """How many there are, small ones together counting as one."""
    effect: EffectPart
    variance_removed: float | None
    """Of the variance of the plan's own estimate, as a share."""


class CohortsPart(msgspec.Struct, frozen=True, kw_only=True):
    """Effects by strata of the plan and by cohort: to explore, for a next trial to confirm."""

    withheld: str | None
    label: str
    breakdowns: tuple[BreakdownPart, ...]
    post_stratified: tuple[PostStratifiedPart, ...]


class FormerPart(msgspec.Struct, frozen=True, kw_only=True):
    """One primary of one arm by the arms that units had before."""

    by_former_arm: BreakdownPart
    """Its interaction says whether the effect here depends on them."""
    main_effect: HeterogeneityPart
    """Whether values do, whatever the arm here: what an earlier experiment left behind."""


class CarryoverPart(msgspec.Struct, frozen=True, kw_only=True):
    """Do experiments of the layer before this one still act?"""

    withheld: str | None
    experiments: tuple[str, ...]
    """Others of the layer, now or formerly."""
    units: int
    """Units that were exposed to one of them before."""
    balance_p_value: float | None
    """Of the arms here having the same mix of former arms."""
    primaries: tuple[FormerPart, ...]


class HeldOutPart(msgspec.Struct, frozen=True, kw_only=True):
    """One primary of everyone else minus that of who is held out."""

    metric: str
    effect: EffectPart
    """Held-out units stand in the place of control's. By a confidence sequence."""


class HoldoutPart(msgspec.Struct, frozen=True, kw_only=True):
    """What the experiments of the layer did together."""

    withheld: str | None
    experiments: tuple[str, ...]
    """On whose requests units are compared, each unit on one of them."""
    alpha: float
    """Of each interval, at all looks together."""
    moved: int
    """Units that were seen on both sides; they count by their first sight."""
    primaries: tuple[HeldOutPart, ...]
    caveats: tuple[str, ...]


class SpillOverPart(msgspec.Struct, frozen=True, kw_only=True):
    """One primary of one arm: what a group's own arm and those of its neighbours do."""

    metric: str
    arm: str
    alpha: float
    groups: int
    """Of the arm and of control, that have a neighbour whose arm is known."""
    left_out: int
    """The other groups of both."""
    own: EffectPart
    """Of the own arm, with no neighbour treated. Units of all three are groups."""
    neighbours: EffectPart
    """Of all neighbours being treated, the group itself not."""
    everywhere: EffectPart
    """Of both: treating everybody beside treating nobody."""
    shares: tuple[float, float] | None
    """Least and largest share of treated neighbours that was seen; beyond it effects are extrapolated."""


class InterferencePart(msgspec.Struct, frozen=True, kw_only=True):
    """Do arms spill over to neighbouring groups?"""

    withheld: str | None
    primaries: tuple[SpillOverPart, ...]
