"""A trial that is over has the same report whenever it is made: what its cap is does not move."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judged_rows import judged, numbers, plan_of
from meshtrial.analysis.report_parts import Report
from meshtrial.plan.model import Plan
from proof import often
from trial_rows import Trial

_CAPPED = ("value: amount, window: 10s}", "value: amount, window: 10s, cap: 98%}")
_ALONE = ("        - {metric: conversion, direction: up, minimum_effect: 2pp}\n", "")
_TAKES = 500
"""Units that settle a cap of 98%."""
PLANS = {
    "fixed": plan_of(_CAPPED, _ALONE),
    "group_sequential": plan_of(
        _CAPPED,
        _ALONE,
        (
            "method: fixed",
            "method: group_sequential\n      looks: [50%, 100%]\n      spending: obrien_fleming",
        ),
    ),
    "sequential": plan_of(_CAPPED, _ALONE, ("method: fixed", "method: sequential")),
}


def _traffic(plan: Plan, seed: int, until: float) -> Trial:
    """Ten units a second, of which the second arm spends more; as much as is there at a time."""
    chance = random.Random(seed)
    rows = Trial(plan.experiments[0].phase, plan.digest, plan.experiments[0].unit.kind)
    for unit in range(int(until * 10) + 1):
        at, amount = unit / 10, chance.lognormvariate(0, 0.8) * (1.42 if unit % 2 else 1)
        rows.expose(unit, "v2" if unit % 2 else "v1", at)
        if at + 1 <= until:
            rows.outcome(unit, "purchase", at + 1, amount=amount)
    return rows


def _report(method: str, seed: int, second: float) -> Report:
    return judged(_traffic(PLANS[method], seed, second), PLANS[method], second=second)


@settings(max_examples=often(6, 200), deadline=None)
@given(st.sampled_from(["fixed", "group_sequential"]), st.integers(0, 2**32), st.floats(0.5, 60))
def test_what_comes_after_a_trial_changes_neither_its_verdict_nor_its_numbers(
    method: str, seed: int, later: float
) -> None:
    first, second = (_report(method, seed, at) for at in (20.5, 20.5 + later))

    assert first.progress.decided_at is not None
    assert second.verdict.decision == first.verdict.decision
    assert second.progress.decided_at == first.progress.decided_at
    assert numbers(second.metrics) == numbers(first.metrics)


@pytest.mark.parametrize("method", ["fixed", "group_sequential"])
@pytest.mark.parametrize("seed", range(4))
def test_the_cap_is_of_the_units_of_the_first_look(method: str, seed: int) -> None:
    chance = random.Random(seed)
    spent = [chance.lognormvariate(0, 0.8) * (1.42 if unit % 2 else 1) for unit in range(100)]
    units = 50 if method == "group_sequential" else 100

    [revenue] = _report(method, seed, 45).metrics

    assert revenue.cap == pytest.approx(sorted(spent[:units])[units * 98 // 100 - 1], rel=1e-12)


def test_a_sequential_trial_has_no_cap_before_the_units_that_settle_it_are_final() -> None:
    [early] = _report("sequential", 1, 45).metrics

    [told] = early.comparisons
    assert early.cap is None
    assert (told.effect, told.interval) == (None, None)
    assert told.not_estimable is not None
    assert told.not_estimable.startswith("a cap of 98% is settled by the earliest 500 units, and 3")


@settings(max_examples=often(4, 100), deadline=None)
@given(st.integers(0, 2**32), st.floats(60, 90))
def test_once_settled_the_cap_of_a_sequential_trial_stays(seed: int, second: float) -> None:
    chance = random.Random(seed)
    spent = [chance.lognormvariate(0, 0.8) * (1.42 if unit % 2 else 1) for unit in range(_TAKES)]

    [revenue] = _report("sequential", seed, second).metrics

    assert revenue.cap == pytest.approx(sorted(spent)[489], rel=1e-12)
    assert sum(arm.units for arm in revenue.arms) > _TAKES - 2
