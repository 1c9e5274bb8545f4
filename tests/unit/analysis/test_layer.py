"""Experiments that share out one layer: what earlier ones left behind, and what all of them did together."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from scipy import stats

from judged_rows import judged, rows_of
from meshtrial.analysis.report_beside_parts import CarryoverPart, HoldoutPart
from meshtrial.plan.excerpt import excerpt
from meshtrial.plan.model import Plan
from plan_values import experiment, plan_of
from trial_rows import Trial

DAY = 86_400
ARMS = {"v1": {"weight": 50, "cluster": "a"}, "v2": {"weight": 50, "cluster": "b"}}
SPENT = {"kind": "mean", "outcome": "purchase", "value": "amount", "window": "1h"}


def in_layer(units: int, method: str = "fixed", metric: Mapping[str, Any] = SPENT, **keys: Any) -> Any:
    decision = {
        "method": method,
        "alpha": 0.05,
        "power": 0.8,
        "planned_units": units,
        "minimum_duration": "1d",
        "lateness": "0s",
        "primary": [{"metric": "spent", "direction": "up", "minimum_effect": 0.5}],
    }
    one = {**experiment(ARMS, decision=decision, layer="web", **keys)}
    del one["unit"]
    return one, metric


def planned(units: int = 800, holdout: str = "10%", mates: tuple[str, ...] = (), **more: Any) -> Plan:
    one, metric = in_layer(units, **more)
    layers = {"web": {"unit": {"header": "x-user-id"}, "holdout": holdout}}
    experiments = {"rank-v2": {**one, "slice": ["10%", "50%"]}}
    for at, mate in enumerate(mates):
        experiments[mate] = {**one, "slice": [f"{50 + 5 * at}%", f"{55 + 5 * at}%"]}
    plan = plan_of(experiments, layers=layers, metrics={"spent": metric})
    # Reports are on the first one.
    assert plan.experiments[0].id == "rank-v2"
    return plan


def met(rows: Trial, unit: int, arm: str, second: float, mate: str) -> None:
    """An exposure to another experiment."""
    rows.expose(unit, arm, second, phase="before", Experiment=mate)


def carryover(rows: Trial, plan: Plan) -> CarryoverPart:
    found = judged(rows, plan, second=30 * DAY).carryover
    assert found is not None
    assert found.withheld is None
    return found


def after(
    rows: Trial, rng: np.random.Generator, left: Mapping[tuple[str, bool], float], mate: str = "search"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """800 units, three quarters of whom had one of two arms before; what that adds for each arm here."""
    former = np.array(["", "v1", "v2", "v2"])[np.arange(800) % 4]
    treated = np.arange(800) // 4 % 2 == 1
    amounts = rng.normal(20, 2, 800)
    for unit in range(800):
        amounts[unit] += left.get((str(former[unit]), bool(treated[unit])), 0.0)
        if former[unit]:
            met(rows, unit, "v1", 0, mate)
            met(rows, unit, str(former[unit]), 100, mate)
            met(rows, unit, "v1", 2 * DAY + 50, mate)  # after its first exposure here
        rows.expose(unit, "v2" if treated[unit] else "v1", 2 * DAY)
        rows.outcome(unit, "purchase", 2 * DAY + 60, amount=float(amounts[unit]))
    return former, treated, amounts


def test_units_are_compared_by_the_last_arm_that_they_had_before() -> None:
    rng = np.random.default_rng(1)
    plan = planned(mates=("search",))
    rows = rows_of(plan)
    former, treated, amounts = after(rows, rng, {("v2", False): 3, ("v2", True): 3})

    found = carryover(rows, plan)

    assert (found.experiments, found.units) == (("search",), 600)
    assert found.balance_p_value == 1
    [primary] = found.primaries
    values = {value.value: value.effect for value in primary.by_former_arm.values}
    assert set(values) == {"search/v2", "search/v1", ""}
    gaps, sums, errors = [], [], []
    for value, arm in (("search/v2", "v2"), ("search/v1", "v1"), ("", "")):
        of_former = former == arm
        test = stats.ttest_ind(amounts[of_former & treated], amounts[of_former & ~treated], equal_var=False)
        assert values[value].p_value == pytest.approx(test.pvalue)
        one, other = amounts[of_former & ~treated].mean(), amounts[of_former & treated].mean()
        gaps.append(other - one)
        sums.append((one + other) / 2)
        errors.append((other - one) / test.statistic)
    weights = 1 / np.array(errors) ** 2
    for part, numbers, factor in (
        (primary.by_former_arm.interaction, gaps, 1),
        (primary.main_effect, sums, 4),
    ):
        q = factor * np.sum(weights * (np.array(numbers) - np.average(numbers, weights=weights)) ** 2)
        assert part.statistic == pytest.approx(q)
    assert (primary.main_effect.p_value or 1) < 1e-6
    assert (primary.by_former_arm.interaction.p_value or 0) > 0.01


def test_an_effect_that_depends_on_the_former_arm_is_an_interaction() -> None:
    plan = planned(mates=("search",))
    rows = rows_of(plan)
    after(rows, np.random.default_rng(2), {("v2", True): 2})

    assert (carryover(rows, plan).primaries[0].by_former_arm.interaction.p_value or 1) < 1e-6


def test_an_experiment_that_the_plan_has_no_more_is_known_by_its_recorded_document() -> None:
    older = planned(mates=("search",))
    plan = planned()
    rows = rows_of(plan)
    after(rows, np.random.default_rng(3), {})
    document = excerpt(older, older.experiments[1]).canonical
    rows.took("former", document, 0, experiment="search")
    rows.took("former", document.replace('"layer":"web"', '"layer":"shop"'), 0, experiment="other")
    rows.took("damaged", '{"layer":"web"', 0, experiment="damaged")

    assert carryover(rows, plan).experiments == ("search",)


def test_arms_here_with_unequal_shares_of_former_arms_are_told() -> None:
    plan = planned(mates=("search",))
    rows = rows_of(plan)
    for unit in range(800):
        met(rows, unit, "v2" if unit % 400 < 250 else "v1", 0, "search")
        rows.expose(unit, "v2" if unit < 400 else "v1", DAY)
        rows.outcome(unit, "purchase", DAY + 60, amount=unit % 7)
    for unit in range(60):
        met(rows, unit, "v1", 10, "search")

    found = carryover(rows, plan)

    expected = stats.chi2_contingency([[190, 210], [250, 150]], correction=False).pvalue
    assert found.balance_p_value == pytest.approx(expected)


def test_a_layer_of_one_experiment_has_no_carryover() -> None:
    plan = planned()
    rows = rows_of(plan)
    for unit in range(800):
        rows.expose(unit, "v2" if unit % 2 else "v1", 0)

    report = judged(rows, plan, second=30 * DAY)

    assert report.carryover is None
    assert report.over_time is not None


def holdout(rows: Trial, plan: Plan, days: float = 30) -> HoldoutPart:
    found = judged(rows, plan, second=days * DAY).holdout
    assert found is not None
    return found


def held(rows: Trial, unit: int, second: float, mate: str = "rank-v2") -> None:
    """A unit of the holdout: control, and not exposed."""
    columns: dict[str, Any] = {"Experiment": mate, "Reason": "holdout"}
    rows.expose(unit, "v1", second, exposed=False, **columns)


def test_who_is_held_out_is_compared_with_all_arms_together() -> None:
    rng = np.random.default_rng(4)
    plan = planned()
    rows = rows_of(plan)
    amounts = rng.normal(20, 2, 1200)
    held(rows, 9_000_000, -1)
    for unit in range(1200):
        amounts[unit] += 1.5 if unit >= 400 else 0
        if unit < 400:
            held(rows, unit, 0)
            held(rows, unit, 7200)
        else:
            rows.expose(unit, "v2" if unit % 2 else "v1", 0)
        rows.outcome(unit, "purchase", 60, amount=float(amounts[unit]))
        rows.outcome(unit, "purchase", 4000, amount=100)  # after the window

    found = holdout(rows, plan)

    assert (found.withheld, found.experiments, found.moved) == (None, ("rank-v2",), 0)
    [primary] = found.primaries
    one, other = np.append(amounts[:400], 0), amounts[400:]
    assert (primary.effect.control_units, primary.effect.arm_units) == (401, 800)
    assert primary.effect.effect == pytest.approx(other.mean() - one.mean())
    error = np.hypot(one.std(ddof=1) / 401**0.5, other.std(ddof=1) / 800**0.5)
    assert primary.effect.standard_error == pytest.approx(error)
    assert primary.effect.interval is not None
    assert primary.effect.effect is not None
    assert primary.effect.interval[0] < primary.effect.effect - 1.96 * error  # it holds at any look
    assert found.caveats


def test_units_count_on_one_experiment_of_the_layer_each() -> None:
    """By their pseudonym, so that held-out ones, who are seen on all, are in no two."""
    plan = planned(400, mates=("search",))
    rows = rows_of(plan)
    seen = {"rank-v2": 0, "search": 1}
    sizes = [0, 0]
    for unit in range(1600):
        mate = ("rank-v2", "search")[unit // 2 % 2]
        if unit % 5 == 0:
            for each in seen:
                held(rows, unit, 0, each)
            sizes[0] += 1
        elif mate == "rank-v2":
            rows.expose(unit, "v2" if unit % 2 else "v1", 60)
            sizes[1] += unit % 2 == seen[mate]
        else:
            met(rows, unit, "v1", 60, mate)
            sizes[1] += unit % 2 == seen[mate]
        rows.outcome(unit, "purchase", 120, amount=unit % 7)

    found = holdout(rows, plan)

    assert found.experiments == ("rank-v2", "search")
    [primary] = found.primaries
    assert [primary.effect.control_units, primary.effect.arm_units] == sizes


def test_units_seen_before_anybody_was_held_out_are_no_comparison() -> None:
    plan = planned()
    rows = rows_of(plan)
    for unit in range(900):
        if unit < 100:
            rows.expose(unit, "v1", 0)
            held(rows, unit, 2 * DAY + unit)  # the holdout grew
        elif unit < 200:
            held(rows, unit, 2 * DAY)
        else:
            rows.expose(unit, "v2" if unit % 2 else "v1", 0 if unit < 400 else 2 * DAY + 60)
        rows.outcome(unit, "purchase", 2 * DAY + 120, amount=unit % 7)
    rows.expose(150, "v1", 3 * DAY)  # and shrank

    found = holdout(rows, plan)

    [primary] = found.primaries
    assert (primary.effect.control_units, primary.effect.arm_units) == (100, 500)
    assert found.moved == 1


def test_the_holdout_goes_on_when_the_trial_is_over_and_is_withheld_before() -> None:
    plan = planned(400)
    rows = rows_of(plan)
    for unit in range(1200):
        first = unit // 400 * 5 * DAY
        if unit % 4 == 0:
            held(rows, unit, first)
        else:
            rows.expose(unit, "v2" if unit % 2 else "v1", first + 1)
        rows.outcome(unit, "purchase", first + 120, amount=unit % 7)

    early, middle, late = (holdout(rows, plan, days) for days in (1, 6, 30))

    assert early.withheld is not None
    assert early.primaries == ()
    assert [part.primaries[0].effect.control_units for part in (middle, late)] == [200, 300]


def test_a_holdout_that_nobody_was_seen_in_says_so() -> None:
    plan = planned()
    rows = rows_of(plan)
    for unit in range(800):
        rows.expose(unit, "v2" if unit % 2 else "v1", 0)

    assert holdout(rows, plan).withheld == "no unit that is held out has been seen"


def test_requests_are_not_compared_with_a_holdout() -> None:
    plan = planned(metric={"kind": "ratio", "request": "error", "window": "1h"})
    rows = rows_of(plan)
    for unit in range(800):
        held(rows, 10_000 + unit, 0)
        rows.expose(unit, "v2" if unit % 2 else "v1", 0)

    [primary] = holdout(rows, plan).primaries

    assert (primary.effect.not_estimable or "").startswith("requests are those of one experiment")


def test_experiments_on_other_requests_fake_no_launch() -> None:
    """Nothing works. Who searches spends more; the holdout is seen on all requests, others on one kind."""
    rng = np.random.default_rng(11)
    plan = planned(400, mates=("search",))
    rows = rows_of(plan)
    spends: dict[bool, list[float]] = {True: [], False: []}
    for unit in range(6000):
        pseudonym = int(rng.integers(2**62))
        ranks, searches, is_held = rng.random(3) < (0.9, 0.3, 0.2)
        in_search = rng.random() < 0.5
        amount = float(rng.normal(30 if searches else 20, 3))
        if is_held:
            for visits, mate in ((ranks, "rank-v2"), (searches, "search")):
                if visits:
                    held(rows, pseudonym, 60, mate)
        elif in_search and searches:
            met(rows, pseudonym, "v1", 60, "search")
        elif not in_search and ranks:
            rows.expose(pseudonym, "v2" if unit % 2 else "v1", 60)
        else:
            continue
        spends[bool(is_held)].append(amount)
        rows.outcome(pseudonym, "purchase", 120, amount=amount)
    held(rows, 1, 0, "rank-v2")
    held(rows, 2, 0, "search")

    [primary] = holdout(rows, plan).primaries

    naive = stats.ttest_ind(spends[False], spends[True], equal_var=False)
    assert naive.pvalue < 1e-6
    assert primary.effect.effect is not None
    assert primary.effect.standard_error is not None
    assert abs(primary.effect.effect) < 3 * primary.effect.standard_error
    assert primary.effect.standard_error < 0.4
