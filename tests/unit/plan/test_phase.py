"""Digests and phases of everything that says who takes part and how they are split."""

import pytest

from meshtrial.plan.load import load

WHOLE = """\
apiVersion: meshtrial/v1
metrics:
  conversion: {kind: proportion, outcome: purchase, window: 7d}
cohorts:
  staff: [{header: x-staff, exists: true}]
  enterprise: [{header: x-plan, in: [gold, silver]}]
layers:
  ranking: {unit: {group: {header: x-store}, members: {cookie: sid}}, holdout: 2%}
experiments:
  rank-v2:
    layer: ranking
    slice: [0%, 50%]
    match: {host: a.example, method: GET, headers: {x-app: web}}
    audience:
      - {header: x-country, not_in: [US, IN]}
      - {header: x-version, semver: ">=1.2.0 <2.0.0"}
      - {query: age, less_than: 65}
      - {percentage: 12.5%}
    strata: [x-plan, x-country]
    ramp: 10%
    sticky: true
    carry: true
    paused: true
    exposures: all
    outcomes: {response_header: true}
    control: v1
    arms:
      v2: {weight: {default: 50, staff: 100, enterprise: 10}, headers: {x-model: "2"}}
      v1: {weight: {default: 50, staff: 0, enterprise: 90}}
    decision: &rule
      method: fixed
      alpha: 0.05
      power: 0.8
      planned_units: 8876
      minimum_duration: 14d
      primary: [{metric: conversion, direction: up, minimum_effect: 2pp}]
  clock:
    match: {path_prefix: /clock}
    unit: {switchback: {key: {query: city}, window: 30m, offset: 90s, washout: 5m}}
    control: v1
    arms:
      v2: {weight: 50, headers: {x-clock: "2"}}
      v1: {weight: 50}
    decision: *rule
"""


def changed(old: str, new: str, text: str = WHOLE) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


def digest(text: str) -> str:
    return load(text, "plan.yaml").digest


def phase(text: str, experiment: str = "rank-v2") -> str:
    found = load(text, "plan.yaml").experiment(experiment)
    assert found is not None
    return found.phase


SAME = [
    ("slice: [0%, 50%]", "slice: [2%, 50.00%]"),
    ("in: [gold, silver]", "in: [silver, gold, silver]"),
    ("not_in: [US, IN]", "not_in: [IN, US]"),
    ("strata: [x-plan, x-country]", "strata: [X-Country, x-plan]"),
    ('">=1.2.0 <2.0.0"', '" >=1.2.0   <2.0.0"'),
    ("less_than: 65", "less_than: 65.0"),
    ("ramp: 10%", "ramp: 10.00 %"),
    ("paused: true", "paused: true\n    killed: false"),
    ("host: a.example", "host: A.Example"),
    ("headers: {x-app: web}", "headers: {X-App: web}"),
    ("window: 30m", "window: 1800s"),
    ("layer: ranking\n", "layer: ranking\n    unit: {group: {header: X-Store}, members: {cookie: sid}}\n"),
]


@pytest.mark.parametrize(("old", "new"), SAME, ids=[new.strip() for _, new in SAME])
def test_another_way_of_writing_the_same_keeps_the_digest(old: str, new: str) -> None:
    assert digest(changed(old, new)) == digest(WHOLE)


ALLOCATION = [
    ("{header: x-store}", "{header: x-shop}"),
    ("members: {cookie: sid}", "members: {cookie: uid}"),
    ("holdout: 2%", "holdout: 3%"),
    ("members: {cookie: sid}}, holdout", "members: {cookie: sid}}, hash: xxh64, holdout"),
    ("members: {cookie: sid}}, holdout", "members: {cookie: sid}}, salt: other, holdout"),
    ("slice: [0%, 50%]", "slice: [0%, 60%]"),
    ("ramp: 10%", "ramp: 20%"),
    ("ramp: 10%", "ramp: 10%\n    hash: xxh64"),
    ("ramp: 10%", "ramp: 10%\n    buckets: 1000"),
    ("ramp: 10%", "ramp: 10%\n    salt: other"),
    ('x-model: "2"', 'x-model: "3"'),
    ("in: [gold, silver]", "in: [gold]"),
    ("header: x-staff, exists: true", "header: x-staff, exists: false"),
]
NO_ALLOCATION = [
    ("host: a.example", "host: b.example"),
    ("not_in: [US, IN]", "not_in: [US]"),
    ("percentage: 12.5%", "percentage: 12%"),
    ("less_than: 65", "less_than: 66"),
    ("strata: [x-plan, x-country]", "strata: [x-plan]"),
    ("    sticky: true\n", ""),
    ("    carry: true\n", ""),
    ("    paused: true\n", ""),
    ("paused: true", "killed: true"),
    ("exposures: all", "exposures: first"),
    ("response_header: true", "response_header: false"),
    ("alpha: 0.05", "alpha: 0.01"),
]


@pytest.mark.parametrize(("old", "new"), ALLOCATION, ids=[f"{old} -> {new}" for old, new in ALLOCATION])
def test_a_change_of_the_allocation_begins_a_phase_of_that_experiment_alone(old: str, new: str) -> None:
    text = changed(old, new)

    assert digest(text) != digest(WHOLE)
    assert phase(text) != phase(WHOLE)
    assert phase(text, "clock") == phase(WHOLE, "clock")


@pytest.mark.parametrize(("old", "new"), NO_ALLOCATION, ids=[f"{old} -> {new}" for old, new in NO_ALLOCATION])
def test_who_takes_part_and_what_is_recorded_keep_the_phase_and_change_the_digest(old: str, new: str) -> None:
    text = changed(old, new)

    assert digest(text) != digest(WHOLE)
    assert phase(text) == phase(WHOLE)


def test_weights_of_a_cohort_that_come_go_or_change_begin_a_phase() -> None:
    without = changed(
        "default: 50, staff: 0,", "default: 50,", changed("default: 50, staff: 100,", "default: 50,")
    )
    other = changed("enterprise: 90", "enterprise: 80", changed("enterprise: 10", "enterprise: 20"))

    assert len({phase(WHOLE), phase(without), phase(other)}) == 3


def test_the_windows_of_a_switchback_are_its_allocation_and_the_washout_is_not() -> None:
    assert phase(changed("window: 30m", "window: 40m"), "clock") != phase(WHOLE, "clock")
    assert phase(changed("offset: 90s", "offset: 91s"), "clock") != phase(WHOLE, "clock")
    assert phase(changed("washout: 5m", "washout: 6m"), "clock") == phase(WHOLE, "clock")


def test_the_order_of_cohorts_counts() -> None:
    staff, enterprise = (line for line in WHOLE.splitlines() if line.startswith(("  staff", "  enterprise")))
    swapped = changed(f"{staff}\n{enterprise}", f"{enterprise}\n{staff}")

    assert digest(swapped) != digest(WHOLE)
    assert phase(swapped) != phase(WHOLE)


def test_a_ramp_that_makes_no_further_bucket_live_begins_no_phase() -> None:
    assert phase(changed("ramp: 10%", "ramp: 10.0001%")) == phase(WHOLE)
