"""Large plans, and documents that are too much: each answered within seconds."""

import time
from pathlib import Path

import pytest

from meshtrial.errors import PlanError
from meshtrial.plan.load import load

HEAD, ONE = (
    (Path(__file__).parents[2] / "plans" / "good" / "minimal.yaml").read_text("utf-8").split("  rank-v2:\n")
)
BOUND = 10
"""Seconds, five times what is meant: a machine that runs tests is not idle."""


def many(keys: str, experiment: str = ONE) -> str:
    """A thousand experiments, each with `keys`; `{}` in them is its number."""
    return "".join(f"  e{i}:\n    {keys.replace('{}', str(i))}\n{experiment}" for i in range(1000))


def layered() -> str:
    """A thousand experiments that share out one layer."""
    bare = ONE.replace("    unit: {header: x-user-id}\n", "")
    slices = (f"[{i / 10:.1f}%, {(i + 1) / 10:.1f}%]" for i in range(1000))
    entries = (f"  e{i}:\n    layer: all\n    slice: {found}\n{bare}" for i, found in enumerate(slices))
    return "".join(entries) + "layers:\n  all: {unit: {header: x-user-id}}\n"


@pytest.mark.parametrize(
    "experiments",
    [
        many("match: {path_prefix: /e{}/}"),
        many("match: {route: r{}}"),
        many("match: {headers: {x-tenant: t{}}}"),
        many("audience: [{header: x-tenant, in: [t{}, u{}]}]"),
        layered(),
    ],
    ids=["paths", "routes", "headers", "audiences", "slices"],
)
def test_a_thousand_experiments_load_and_each_is_held_against_each_other(experiments: str) -> None:
    start = time.monotonic()
    plan = load(HEAD + experiments, "plan.yaml")

    assert len(plan.experiments) == 1000
    assert time.monotonic() - start < BOUND


METRICS = "".join(f"  m{i}: {{kind: proportion, outcome: purchase, window: 7d}}\n" for i in range(1000))
MISSPELT = ONE.replace("metric: conversion", "metric: conversoin")
REGEXES = ", ".join(f"{{header: x, regex: '(a{{1,500}}){{1,2}}{i}'}}" for i in range(20_000))
ALIASES = "".join(f"  e{i}: *e\n" for i in range(999))
MANY_METRICS = "".join(f"  m{i}: {{kind: proportion, outcome: a, window: 1d}}\n" for i in range(10_000))
SECONDARY = ", ".join(f"m{i}" for i in range(10_000))
COVARIATES = ", ".join(f"{{outcome: a, before: {i}s}}" for i in range(1, 30_000))
TOO_MUCH = {
    "ten megabytes": (HEAD + many("sticky: true") * 30, {"yaml": 1}),
    "ten thousand": (HEAD + "".join(f"  e{i}: {{}}\n" for i in range(10_000)), {"experiments-count": 1}),
    "all the same": (HEAD + many("sticky: true"), {"cluster-chosen-twice": 999}),
    "unknown keys": (
        f"{HEAD}  a:\n" + "".join(f"    k{i}: 1\n" for i in range(60_000)),
        {"key-unknown": 60_000, "key-missing": 4},
    ),
    "misspelt metrics": (
        HEAD.replace("metrics:\n", f"metrics:\n{METRICS}") + many("match: {route: r{}}", MISSPELT),
        {"metric-undefined": 1000},
    ),
    "secondary metrics, each twice": (
        HEAD.replace("metrics:\n", f"metrics:\n{MANY_METRICS}")
        + f"  a:\n{ONE}      secondary: [{SECONDARY}, {SECONDARY}]\n",
        {"metric-twice": 10_000},
    ),
    "covariates": (
        HEAD.replace("window: 7d", f"window: 7d, covariates: [{COVARIATES}]") + f"  a:\n{ONE}",
        {"covariate": 1},
    ),
    "an experiment by alias": (f"{HEAD}  e: &e\n{ONE}{ALIASES}", {"cluster-chosen-twice": 999}),
    "regular expressions": (f"{HEAD}  a:\n    audience: [{REGEXES}]\n{ONE}", None),
    "names that are booleans": (HEAD + ONE.join(["  on:\n", "  off:\n", "  no:\n", ""]), None),
}


@pytest.mark.parametrize("name", TOO_MUCH)
def test_a_document_that_is_too_much_is_refused_within_seconds(name: str) -> None:
    text, rules = TOO_MUCH[name]
    start = time.monotonic()
    with pytest.raises(PlanError) as refused:
        load(text, "plan.yaml")

    assert time.monotonic() - start < BOUND
    found = [problem.rule for problem in refused.value.problems]
    assert rules is None or {rule: found.count(rule) for rule in sorted(set(found))} == dict(
        sorted(rules.items())
    )
