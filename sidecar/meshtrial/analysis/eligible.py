"""Allocation history -> which units had one arm from first exposure until their window closed: pure.

Under a ramp that grows, a unit of control may be in the treatment tomorrow: counted for control it dilutes
the effect, counted by what it did it biases it. So a unit is analysed only if the allocation kept its arm,
which its bucket and cohort decide and never its behaviour.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from meshtrial.analysis.history import Entry, History
from meshtrial.plan.model import Experiment, Mode, Split
from meshtrial.plan.splits import comparison_of

_SECOND = 10**9


@dataclass(frozen=True, slots=True)
class Eligible:
    """Units of which it is known that their arm stays theirs. No two rows hold the same unit."""

    phase: str
    """Of the unit's first exposure."""
    cohort: str
    """Whose weights counted then; `default` for whoever was in none, also where there are none."""
    arm: str
    first_from: int
    """First exposures from here on, nanoseconds since 1970."""
    first_to: int
    """First exposures before this; `history.FOREVER` where no end is in sight."""
    bucket_from: int
    """First bucket."""
    bucket_to: int
    """After the last bucket."""


@dataclass(frozen=True, slots=True)
class _Spell:
    """What was, or may have been, in force from `since` until before `until`."""

    since: int
    until: int
    experiment: Experiment | None
    """None for another comparison: what arm a unit had then is not known."""


def eligible(history: History, present: Experiment, closing: int, period: int = 1) -> tuple[Eligible, ...]:
    """The units whose arm the allocation keeps constant from their first exposure until their window closes.

    The rows hold for units whose windows have closed: what the history does not hold yet may still change
    the others. Phases that are another comparison than the present one (`plan.splits.comparison_of`) have no
    rows, and units whose window reaches into one are in none. Where sidecars ran several forms at once, a
    bucket's arm has to be the same in all of them.

    Args:
        history: The experiment's.
        present: The experiment as it is to be judged.
        closing: Seconds after its first exposure at which a unit is final.
        period: Nanoseconds: within each period since 1970 that a phase has, the buckets are the same from
            beginning to end, so that a comparison within the period is one of a constant allocation.
    """
    same = comparison_of(present)
    spells = [_Spell(e.since, e.until, _compared(e, same)) for e in history.entries]
    spells += [_Spell(u.since, u.until, None) for u in history.unknown]
    phases = dict.fromkeys(e.phase for e in history.entries if _compared(e, same) is not None)
    rows: list[Eligible] = []
    for phase in phases:
        rows += _of_phase(phase, spells, closing * _SECOND, period)
    return tuple(rows)


def _compared(entry: Entry, same: tuple[object, ...]) -> Experiment | None:
    return entry.experiment if comparison_of(entry.experiment) == same else None


_Places = tuple[tuple[str, str, int, int], ...]
"""Cohort, arm, first bucket, bucket after the last."""


def _of_phase(phase: str, spells: Sequence[_Spell], closing: int, period: int) -> Iterator[Eligible]:
    own = [spell for spell in spells if _is_running(spell.experiment, phase)]
    stretches: list[tuple[int, int, _Places]] = []
    for first, to, met in _stretches(own, spells, closing, period):
        places = _places(own, met)
        if stretches and stretches[-1][1:] == (first, places):
            first = stretches.pop()[0]  # noqa: PLW2901 - nothing differs: one stretch
        stretches.append((first, to, places))
    for first, to, places in stretches:
        for cohort, arm, start, end in places:
            yield Eligible(phase, cohort, arm, first, to, start, end)


def _is_running(experiment: Experiment | None, phase: str) -> bool:
    return experiment is not None and experiment.phase == phase and experiment.mode is Mode.RUNNING


def _stretches(
    own: Sequence[_Spell], spells: Sequence[_Spell], closing: int, period: int
) -> Iterator[tuple[int, int, Sequence[_Spell]]]:
    """(from, to, what the units first exposed in between may meet), in order of time.

    A unit first exposed at t meets what is in force somewhere in [t, t + closing): that changes where a spell
    ends, and where the beginning of one comes into reach. What is met within a period is taken together.
    """
    cuts = {time for spell in spells for time in (spell.until, spell.since - closing + 1)}
    edges = sorted({edge for cut in cuts for edge in (cut - cut % period, cut + -cut % period)})
    found: list[tuple[int, int, list[_Spell]]] = []
    together: dict[int, list[_Spell]] = {}
    for start, end in _covered(own):
        for first, to in pairwise([start, *(edge for edge in edges if start < edge < end), end]):
            met = [spell for spell in spells if spell.since < to - 1 + closing and spell.until > first]
            if first // period == (to - 1) // period:
                met = together.setdefault(first // period, []) + met
                together[first // period] = met
            found.append((first, to, met))
    for first, to, met in found:
        within = first // period == (to - 1) // period
        yield first, to, together[first // period] if within else met


def _covered(spells: Sequence[_Spell]) -> Iterator[tuple[int, int]]:
    """The stretches of time that at least one spell covers."""
    start = end = None
    for spell in sorted(spells, key=lambda spell: spell.since):
        if start is None or end is None or spell.since > end:
            if start is not None and end is not None:
                yield start, end
            start, end = spell.since, spell.until
        end = max(end, spell.until)
    if start is not None and end is not None:
        yield start, end


def _places(own: Sequence[_Spell], met: Sequence[_Spell]) -> _Places:
    """The buckets that have one arm in all that is met."""
    forms = [spell.experiment for spell in met]
    mine = next(spell.experiment for spell in own if spell.experiment is not None)
    known = [form for form in forms if form is not None]
    if len(known) < len(forms):
        return ()
    if all(form.sticky for form in known if form.phase == mine.phase and form.mode is Mode.RUNNING):
        # The arm of the first exposure is kept as long as kept arms count.
        known = [form for form in known if not form.sticky or form.mode is not Mode.RUNNING]
    return tuple(
        (split.id, arm, start, end)
        for split in mine.splits
        for arm, start, end in _constant(mine, [split, *_splits_of_unit(mine, split, known)])
    )


def _splits_of_unit(mine: Experiment, split: Split, forms: Sequence[Experiment]) -> Iterator[Split | None]:
    """The splits by which a unit of this cohort may be assigned; None for one that gives all control.

    Where a form defines its cohorts alike, by its own: a unit's cohort is that of its first exposure. Else by
    any of them.
    """
    for form in forms:
        if form.mode is not Mode.RUNNING:
            yield None
        elif [other.cohort for other in form.splits] == [other.cohort for other in mine.splits]:
            yield form.split(split.id)
        else:
            yield from form.splits


def _constant(experiment: Experiment, splits: Sequence[Split | None]) -> Iterator[tuple[str, int, int]]:
    """(arm, first bucket, after the last) where all splits have the same arm."""
    lanes = [split.lanes if split else () for split in splits]
    edges = {edge for of_split in lanes for lane in of_split for edge in (lane.start, lane.live)}

    def arm_of(bucket: int) -> str | None:
        named = {
            next(
                (lane.arm.id for lane in of_split if lane.start <= bucket < lane.live), experiment.control.id
            )
            for of_split in lanes
        }
        return named.pop() if len(named) == 1 else None

    pieces = pairwise(sorted({0, experiment.bucketing.buckets} | edges))
    for arm, joined in groupby(pieces, key=lambda piece: arm_of(piece[0])):
        bounds = list(joined)
        if arm is not None:
            yield arm, bounds[0][0], bounds[-1][1]
