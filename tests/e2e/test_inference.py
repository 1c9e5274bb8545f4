"""Trials whose truth is known: real traffic through Envoy, sidecar and collector, and what the report says.

One crowd of users is in six trials at once, and others in a seventh. What each does in which arm is known
before anything is sent, so every estimate is held against the users' own acts.
"""

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec
import numpy as np
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from e2e.crowd import Acts, Crowd
from e2e.relay import relay
from e2e.shop import (
    LATENESS,
    MINIMUM_DURATION,
    PLAN,
    READERS,
    SHOP,
    SHOPPERS,
    WINDOW,
    arms_of_shopper,
    reading,
    shopping,
)
from e2e.trial import Trial, arm_of, patient, pseudonym
from e2e.truth import Compared, Numbers, column, first_exposures
from judged_rows import numbers
from meshtrial.analysis.report import make_report
from meshtrial.plan.load import load
from meshtrial.store.read import connect

KIND = "header:x-user-id"
DAY = MINIMUM_DURATION * 10**9
"""What a day is to a trial that short."""
FIRST = [shopping(user, arms_of_shopper(user)) for user in SHOPPERS]
LATER = [
    shopping(user, arms_of_shopper(user), reverse=True)
    for user in (f"latecomer-{number}" for number in range(200))
]
READING = [reading(user, arm_of(user, "harm")) for user in READERS]

exactly = partial(pytest.approx, rel=1e-9, abs=1e-9)


def is_lost(experiment: str, arm: str, unit: str) -> bool:
    """A fiftieth of one arm of one experiment."""
    return (experiment, arm) == ("leaky", "v2") and int(unit, 16) % 50 == 0


def loses(span: Span) -> bool:
    said = {attribute.key: attribute.value.string_value for attribute in span.attributes}
    keys = ("feature_flag.key", "feature_flag.result.variant", "feature_flag.context.id")
    return span.name == "meshtrial.exposure" and is_lost(*(said[key] for key in keys))


def leaking(onward: str) -> AbstractContextManager[str]:
    return relay(onward, loses)


@dataclass
class Told:
    """Trials that were run, and what their reports said."""

    running: Trial
    first: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By experiment, when the units of the plan were final."""
    later: dict[str, dict[str, Any]] = field(default_factory=dict)
    """When more were."""

    def reports(self) -> dict[str, dict[str, Any]]:
        plan = load(PLAN, "plan.yaml")
        with connect(self.running.directory / "store") as connection:
            made = [make_report(connection, plan, one, time.time_ns()) for one in plan.experiments]
        return {report.experiment: json.loads(msgspec.json.encode(report)) for report in made}

    def compared(self, experiment: str, everyone: Sequence[Acts]) -> Compared:
        """The users, divided by the days of their first exposure."""
        first = first_exposures(self.running.directory / "store", experiment)
        return Compared.of(
            [acts.arms[experiment] == "v2" for acts in everyone],
            [first[pseudonym(KIND, acts.user)] for acts in everyone],
            DAY,
        )


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    with patient(PLAN, default_cluster="whole", between=leaking) as running:
        crowd = Crowd(running.proxy, running.collector.where["otlp_http"].removeprefix("http://"))
        trials = Told(running)
        crowd.send("/shop", FIRST)
        crowd.send("/read", READING)
        time.sleep(MINIMUM_DURATION + WINDOW + LATENESS + 1)
        trials.first = trials.reports()
        crowd.send("/shop", LATER)
        time.sleep(WINDOW + LATENESS + 1)
        trials.later = trials.reports()
        yield trials


def comparison(report: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Of the arm v2, by one metric."""
    [found] = [one for one in report["metrics"] if one["metric"] == name]
    [compared] = found["comparisons"]
    assert compared["arm"] == "v2"
    return dict(compared)


def values(report: Mapping[str, Any], name: str) -> tuple[float, float]:
    """Of one metric in control and treatment."""
    [found] = [one for one in report["metrics"] if one["metric"] == name]
    of_arm = {arm["arm"]: arm["value"] for arm in found["arms"]}
    return of_arm["v1"], of_arm["v2"]


def failed(report: Mapping[str, Any]) -> list[str]:
    return [f"{one['check']}: {one['detail']}" for one in report["health"] if one["passed"] is False]


def covers(compared: Mapping[str, Any], effect: float) -> bool:
    low, high = compared["interval"]
    return bool(low <= effect <= high)


def sums(everyone: Sequence[Acts], name: str) -> Numbers:
    return column([acts.sums() for acts in everyone], name)


def did(everyone: Sequence[Acts], name: str) -> Numbers:
    return np.minimum(1, sums(everyone, name))


def caused(experiment: str, name: str) -> float:
    """By how much more shoppers do something in v2 than in v1, were all of them in both."""
    treated, control = (
        [shopping(acts.user, {**acts.arms, experiment: arm}) for acts in FIRST] for arm in ("v2", "v1")
    )
    return float(np.mean(did(treated, name)) - np.mean(did(control, name)))


@pytest.mark.parametrize("experiment", [name for name in SHOP if name != "leaky"])
def test_a_trial_that_lost_nothing_is_healthy_and_has_every_user_in_its_arm(
    told: Told, experiment: str
) -> None:
    report = told.first[experiment]

    assert failed(report) == []
    assert report["progress"]["closed_units"] == len(SHOPPERS)
    if experiment != "looks":  # which ended with fewer
        for arm in report["arms"]:
            met = sum(acts.arms[experiment] == arm["arm"] for acts in FIRST)
            assert (arm["units"], arm["analysed"]) == (met, met)


def test_arms_that_are_alike_end_with_control_and_no_interval_misses_0(told: Told) -> None:
    report = told.first["same"]

    assert report["verdict"]["decision"] == "keep_control"
    for name in ("conversion", "spend", "ctr", "signup", "error_rate"):
        assert covers(comparison(report, name), 0), name
    assert told.first["calm"]["verdict"]["decision"] in {"wait", "keep_control"}
    assert covers(comparison(told.first["calm"], "conversion"), 0)


def test_a_better_model_ships_and_its_interval_covers_what_it_caused(told: Told) -> None:
    report = told.first["better"]

    assert (report["verdict"]["decision"], report["verdict"]["arm"]) == ("ship", "v2")
    assert caused("better", "purchase") == pytest.approx(0.15, abs=0.02)
    assert covers(comparison(report, "conversion"), caused("better", "purchase"))
    for name in ("spend", "ctr", "error_rate"):
        assert covers(comparison(report, name), 0), name
    for name in ("error_rate", "latency"):
        assert comparison(report, name)["within_margin"] is True, name


@pytest.mark.parametrize("experiment", ["better", "same"])
def test_estimates_are_those_of_the_users_own_acts(told: Told, experiment: str) -> None:
    report, users = told.first[experiment], told.compared(experiment, FIRST)
    spent, before = sums(FIRST, "spent"), sums(FIRST, "spent_before")

    assert values(report, "conversion") == exactly(users.means(did(FIRST, "purchase")))
    assert comparison(report, "conversion")["effect"] == exactly(users.effect(did(FIRST, "purchase")))
    assert comparison(report, "conversion")["p_value"] == exactly(users.chi_squared(did(FIRST, "purchase")))
    spend = comparison(report, "spend")
    assert spend["unadjusted"]["effect"] == exactly(users.effect(spent))
    assert spend["unadjusted"]["interval"] == exactly(users.welch(spent, 0.05)[1:])
    assert spend["effect"] == exactly(users.cuped(spent, before))
    assert spend["standard_error"] < 0.7 * spend["unadjusted"]["standard_error"]
    clicks = users.ratio(sums(FIRST, "click"), sums(FIRST, "impression"))
    assert comparison(report, "ctr")["effect"] == exactly(clicks)
    errors = users.ratio(sums(FIRST, "error"), sums(FIRST, "request"))
    assert comparison(report, "error_rate")["effect"] == exactly(errors)


def test_latency_is_that_of_the_access_log(told: Told) -> None:
    met = {pseudonym(KIND, acts.user): acts.arms["better"] for acts in FIRST}
    with connect(told.running.directory / "store") as connection:
        rows = connection.execute(
            "SELECT SpanAttributes['feature_flag.context.id'], Duration / 1e6 FROM otel_traces"
            " WHERE SpanName = 'meshtrial.request' AND Experiment = 'better'"
        ).fetchall()

    for arm, median in zip(("v1", "v2"), values(told.first["better"], "latency"), strict=True):
        took = sorted(duration for unit, duration in rows if met.get(unit) == arm)
        assert len(took) == sum(len(acts.requests) for acts in FIRST if acts.arms["better"] == arm)
        assert median == exactly(took[math.ceil(len(took) / 2) - 1])


def test_a_model_that_fails_more_often_is_rolled_back(told: Told) -> None:
    report, users = told.first["harm"], told.compared("harm", READING)

    assert failed(report) == []
    assert (report["verdict"]["decision"], report["verdict"]["arm"]) == ("roll_back", "v2")
    assert "error_rate" in report["verdict"]["reasons"][0]
    errors = comparison(report, "error_rate")
    assert errors["effect"] == exactly(users.effect(sums(READING, "error")))
    in_v2, in_v1 = (np.mean(sums([reading(user, arm) for user in READERS], "error")) for arm in ("v2", "v1"))
    assert covers(errors, float(in_v2 - in_v1))


def test_a_fiftieth_of_one_arms_exposures_lost_on_the_way_leaves_no_verdict(told: Told) -> None:
    treated = [acts.user for acts in FIRST if acts.arms["leaky"] == "v2"]
    lost = sum(is_lost("leaky", "v2", pseudonym(KIND, user)) for user in treated)
    report = told.first["leaky"]

    assert 0.01 < lost / len(treated) < 0.03
    assert report["verdict"]["decision"] == "unhealthy"
    [reason] = failed(report)
    assert reason.startswith(
        "exposures_recorded: units that were routed to an arm and have no exposure there"
    )
    assert f"v2 {lost} of {len(treated)}" in reason
    assert "exposure spans were lost" in reason
    passed = {one["check"] for one in report["health"] if one["passed"]}
    assert passed >= {"sample_ratio", "exposures_routed"}


def test_planned_looks_stop_a_trial_once_and_it_says_the_same_for_ever(told: Told) -> None:
    before, after = told.first["looks"], told.later["looks"]

    assert (before["verdict"]["decision"], before["verdict"]["arm"]) == ("ship", "v2")
    *_, last = before["progress"]["looks"]
    assert 0.2 < last["share"] < 1
    assert before["progress"]["decided_at"] == last["taken"]
    assert before["progress"]["looks"] == after["progress"]["looks"]
    for part in ("verdict", "metrics", "arms", "health"):
        assert numbers(before[part]) == numbers(after[part])
    assert after["progress"]["closed_units"] == len(FIRST) + len(LATER)


@pytest.mark.parametrize("experiment", ["better", "same"])
def test_a_trial_that_ended_at_its_size_says_the_same_for_ever(told: Told, experiment: str) -> None:
    before, after = told.first[experiment], told.later[experiment]

    assert len(before["progress"]["looks"]) == 1
    for part in ("verdict", "metrics", "arms", "health"):
        assert numbers(before[part]) == numbers(after[part])


def test_a_trial_looked_at_at_any_time_takes_in_what_comes(told: Told) -> None:
    before, after = told.first["anytime"], told.later["anytime"]

    assert (before["verdict"]["decision"], before["verdict"]["arm"]) == ("ship", "v2")
    assert covers(comparison(before, "visit"), caused("anytime", "visit"))
    for report, everyone in ((before, FIRST), (after, [*FIRST, *LATER])):
        effect = told.compared("anytime", everyone).effect(did(everyone, "visit"))
        assert comparison(report, "visit")["effect"] == exactly(effect)
    assert comparison(after, "visit")["effect"] < comparison(before, "visit")["effect"]
