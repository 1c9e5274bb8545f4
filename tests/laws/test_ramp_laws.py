"""Which units keep their arm, held against a look at every moment and every bucket."""

from dataclasses import replace
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from meshtrial.analysis.eligible import Eligible, eligible
from meshtrial.analysis.history import FOREVER, Entry, History, Unknown
from meshtrial.assign.bucket import arm_of
from meshtrial.plan.model import Experiment, Mode
from plan_values import experiment, plan_of
from proof import often

BUCKETS = 10
SECOND = 10**9
COHORTS = {"staff": [{"header": "x-staff", "exists": True}]}


@cache
def form(ramp: int, weights: tuple[int, int, int], by_cohort: bool, sticky: bool, salt: str) -> Experiment:
    def weight(share: int, of_staff: int) -> object:
        return {"default": share, "staff": of_staff} if by_cohort else share

    one, two, control = weights
    arms = {
        "v1": {"weight": weight(control, 0), "cluster": "a"},
        "v2": {"weight": weight(one, 0), "cluster": "b"},
        "v3": {"weight": weight(two, 100), "cluster": "c"},
    }
    keys = {"buckets": BUCKETS, "ramp": f"{ramp}%", "sticky": sticky, "salt": salt}
    plan = plan_of({"rank-v2": experiment(arms, **keys)}, **({"cohorts": COHORTS} if by_cohort else {}))
    return plan.experiments[0]


weights = st.sampled_from([(30, 20, 50), (20, 30, 50), (50, 50, 0), (40, 0, 60), (0, 0, 100)])
forms = st.builds(
    form,
    ramp=st.sampled_from([100, 50, 25, 0]),
    weights=weights,
    by_cohort=st.booleans(),
    sticky=st.booleans(),
    salt=st.sampled_from(["s", "s", "s", "s", "other"]),
)


@st.composite
def histories(draw: st.DrawFn) -> History:
    times = sorted(draw(st.lists(st.integers(0, 12), min_size=1, max_size=5, unique=True)))
    ends = [*times[1:], None]
    few = draw(st.lists(forms, min_size=1, max_size=3))
    pool = st.sampled_from(few + [replace(found, mode=Mode.PAUSED) for found in few])
    entries = tuple(
        Entry(
            found.phase,
            "plan",
            since * SECOND,
            FOREVER if end is None else (end + draw(st.sampled_from([0, 0, 0, 3]))) * SECOND,
            found,
        )
        for since, end in zip(times, ends, strict=True)
        for found in [draw(pool)]
    )
    unknown = draw(st.sampled_from([(), (Unknown("lost", 4 * SECOND, 5 * SECOND + 1),)]))
    return History(entries, unknown, 0)


def arm_then(entry: Entry, cohort: str, bucket: int, first: Entry) -> set[str]:
    """The arms that a unit may have by an entry, none where it keeps its first."""
    one, other = first.experiment, entry.experiment
    if other.bucketing != one.bucketing:
        return {"unknown", "for certain"}
    if other.mode is not Mode.RUNNING:
        return {other.control.id}
    alike = [split.id for split in one.splits] == [split.id for split in other.splits]
    splits = [other.split(cohort)] if alike else other.splits
    return {arm_of(other, split, bucket).id for split in splits}


def constant(history: History, phase: str, cohort: str, bucket: int, first: int, closing: int) -> str | None:
    """The arm of a unit first exposed then, None where it is not one until its window closes."""
    end = first + closing
    if any(u.since < end and first < u.until for u in history.unknown):
        return None
    met = [e for e in history.entries if e.since < end and first < e.until]
    own = [e for e in met if e.phase == phase and e.experiment.mode is Mode.RUNNING]
    now = next(e for e in own if e.since <= first < e.until)
    arms = {arm_of(now.experiment, now.experiment.split(cohort), bucket).id}
    kept = all(e.experiment.sticky for e in own)
    for entry in met:
        same = entry.experiment.bucketing == now.experiment.bucketing
        running = entry.experiment.mode is Mode.RUNNING
        if not (kept and same and running and entry.experiment.sticky):
            arms |= arm_then(entry, cohort, bucket, now)
    return arms.pop() if len(arms) == 1 else None


def arms_of(rows: tuple[Eligible, ...], phase: str, cohort: str, bucket: int, first: int) -> list[str]:
    return [
        row.arm
        for row in rows
        if (row.phase, row.cohort) == (phase, cohort)
        and row.first_from <= first < row.first_to
        and row.bucket_from <= bucket < row.bucket_to
    ]


MOMENTS = sorted(
    {SECOND * half // 2 + shift for half in range(-2, 44) for shift in (-1, 0, 1)} | {1000 * SECOND}
)


@settings(max_examples=often(200, 5000), deadline=None)
@given(histories(), st.integers(1, 6))
def test_a_unit_is_in_one_row_if_its_arm_is_constant_and_else_in_none(history: History, closing: int) -> None:
    present = history.entries[0].experiment
    rows = eligible(history, present, closing)
    for entry in history.entries:
        if entry.experiment.bucketing != present.bucketing or entry.experiment.mode is not Mode.RUNNING:
            continue
        for first in MOMENTS:
            if not entry.since <= first < entry.until:
                continue
            for split in entry.experiment.splits:
                for bucket in range(BUCKETS):
                    arm = constant(history, entry.phase, split.id, bucket, first, closing * SECOND)
                    found = arms_of(rows, entry.phase, split.id, bucket, first)
                    assert found == ([] if arm is None else [arm]), (entry.phase, split.id, bucket, first)


@settings(max_examples=often(500, 10000), deadline=None)
@given(histories(), st.integers(1, 6), st.integers(1, 5))
def test_within_a_period_the_same_buckets_count_from_beginning_to_end(
    history: History, closing: int, seconds: int
) -> None:
    present, period = history.entries[0].experiment, seconds * SECOND
    whole, rows = (eligible(history, present, closing, p) for p in (1, period))
    running = [e for e in history.entries if e.experiment.mode is Mode.RUNNING]
    for phase in {e.phase for e in running}:
        cohorts = {split.id for e in running if e.phase == phase for split in e.experiment.splits}
        by_period: dict[tuple[int, str], set[tuple[tuple[str, ...], ...]]] = {}
        finest: dict[tuple[int, str], list[tuple[tuple[str, ...], ...]]] = {}
        for first in MOMENTS:
            if not any(e.since <= first < e.until for e in running if e.phase == phase):
                continue
            for cohort in cohorts:
                held, exact = (
                    tuple(tuple(arms_of(r, phase, cohort, bucket, first)) for bucket in range(BUCKETS))
                    for r in (rows, whole)
                )
                by_period.setdefault((first // period, cohort), set()).add(held)
                finest.setdefault((first // period, cohort), []).append(exact)
        for key, several in by_period.items():
            (held,) = several
            for bucket in range(BUCKETS):
                everywhere = {exact[bucket] for exact in finest[key]}
                if held[bucket]:
                    assert everywhere == {held[bucket]}
