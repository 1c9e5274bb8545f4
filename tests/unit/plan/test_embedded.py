"""A plan that stands within a proxy's configuration is the plan that stands on its own."""

import json
import textwrap
import time

import pytest
import yaml

from meshtrial.errors import PlanError
from meshtrial.plan.load import load
from meshtrial.plan.model import Plan

METRICS = "{conversion: {kind: proportion, outcome: purchase, window: 7d}}"
DECISION = (
    "{method: fixed, alpha: 0.05, power: 0.8, planned_units: 100, minimum_duration: 1d, "
    "primary: [{metric: conversion, direction: up, minimum_effect: 2pp}]}"
)


def experiment(match: str = "", cluster: str = "model-v2") -> str:
    """One experiment, as flow text."""
    return (
        f"{{{match}unit: {{header: x-user-id}}, control: v1, arms: {{v2: {{weight: 50, cluster: {cluster}}}, "
        f"v1: {{weight: 50, cluster: model-v1}}}}, decision: {DECISION}}}"
    )


def part(experiments: str, metrics: str = METRICS) -> str:
    """What stands under a route's `filter_metadata`."""
    return f"{{apiVersion: meshtrial/v1, metrics: {metrics}, experiments: {experiments}}}"


def envoy(*routes: tuple[str, str], clusters: str = "[{name: model-v1}, {name: model-v2}]") -> str:
    """A configuration with these routes: a name and what stands within."""
    lines = [
        f"- {{name: {name}, match: {{prefix: /}}, metadata: {{filter_metadata: {{meshtrial: {within}}}}}}}"
        for name, within in routes
    ]
    listed = textwrap.indent("\n".join(lines), " " * 8)
    return (
        "static_resources:\n  listeners:\n  - route_config:\n      virtual_hosts:\n      - routes:\n"
        f"{listed}\n  clusters: {clusters}\n"
    )


def on_its_own(experiments: str) -> Plan:
    return load(f"apiVersion: meshtrial/v1\nmetrics: {METRICS}\nexperiments: {experiments}", "plan.yaml")


def refused(text: str) -> list[tuple[str, str, int]]:
    with pytest.raises(PlanError) as error:
        load(text, "envoy.yaml")
    return [(problem.rule, problem.path, problem.line) for problem in error.value.problems]


def test_the_route_is_the_match_of_its_experiments() -> None:
    found = load(envoy(("recommend", part(f"{{rank: {experiment()}}}"))), "envoy.yaml")
    assert found == on_its_own(f"{{rank: {experiment('match: {route: recommend}, ')}}}")


def test_what_an_experiment_matches_besides_its_route_stays() -> None:
    within = part(f"{{rank: {experiment('match: {method: POST}, ')}}}")
    found = load(envoy(("recommend", within)), "envoy.yaml")
    assert found == on_its_own(f"{{rank: {experiment('match: {route: recommend, method: POST}, ')}}}")


def test_the_parts_of_all_routes_are_one_plan() -> None:
    one, two = part(f"{{rank: {experiment()}}}"), part(f"{{search: {experiment()}}}")
    found = load(envoy(("recommend", one), ("search", two)), "envoy.yaml")
    rank, search = (experiment(f"match: {{route: {route}}}, ") for route in ("recommend", "search"))
    assert found == on_its_own(f"{{rank: {rank}, search: {search}}}")


def test_documents_of_istio_carry_it_too() -> None:
    text = textwrap.dedent(f"""\
        apiVersion: v1
        kind: Service
        metadata: {{name: models}}
        ---
        apiVersion: networking.istio.io/v1alpha3
        kind: EnvoyFilter
        spec:
          configPatches:
          - applyTo: HTTP_ROUTE
            match: {{routeConfiguration: {{vhost: {{route: {{name: recommend}}}}}}}}
            patch:
              operation: MERGE
              value: {{metadata: {{filterMetadata: {{meshtrial: {part(f"{{rank: {experiment()}}}")}}}}}}}
        """)
    assert load(text, "mesh.yaml") == on_its_own(f"{{rank: {experiment('match: {route: recommend}, ')}}}")
    problems = refused(text.replace("header: x-user-id", "heeder: x-user-id"))
    place = "$[1].spec.configPatches[0].patch.value.metadata.filterMetadata.meshtrial.experiments.rank.unit"
    assert problems == [("key-unknown", f"{place}.heeder", 13)]


ROUTES = "$.static_resources.listeners[0].route_config.virtual_hosts[0].routes"


def test_an_error_has_the_path_and_line_of_the_configuration() -> None:
    one, two = part(f"{{rank: {experiment()}}}"), part(f"{{search: {experiment(cluster='model v2')}}}")
    place = f"{ROUTES}[1].metadata.filter_metadata.meshtrial.experiments.search.arms.v2.cluster"
    problems = refused(envoy(("recommend", one), ("search", two)))
    assert ("cluster-name", place, 7) in problems
    assert ("cluster-undefined", place, 7) in problems


def test_an_experiment_stands_under_one_route() -> None:
    one = part(f"{{rank: {experiment()}}}")
    place = f"{ROUTES}[1].metadata.filter_metadata.meshtrial.experiments.rank"
    assert refused(envoy(("recommend", one), ("search", one))) == [("key-twice", place, 7)]


def test_a_metric_that_two_routes_define_must_be_the_same() -> None:
    one, other = part(f"{{rank: {experiment()}}}"), METRICS.replace("7d", "8d")
    two = part(f"{{search: {experiment()}}}", other)
    place = f"{ROUTES}[1].metadata.filter_metadata.meshtrial.metrics.conversion"
    assert refused(envoy(("recommend", one), ("search", two))) == [("key-twice", place, 7)]


def test_an_experiment_cannot_match_another_route_than_its_own() -> None:
    within = part(f"{{rank: {experiment('match: {route: search}, ')}}}")
    place = f"{ROUTES}[0].metadata.filter_metadata.meshtrial.experiments.rank.match.route"
    assert refused(envoy(("recommend", within))) == [("embedded", place, 6)]


def test_a_route_needs_a_name() -> None:
    text = envoy(("recommend", part(f"{{rank: {experiment()}}}"))).replace("name: recommend, ", "")
    place = f"{ROUTES}[0].metadata.filter_metadata.meshtrial"
    assert refused(text) == [("embedded", place, 6)]


def test_a_configuration_without_a_plan_is_told_so() -> None:
    assert refused("static_resources: {clusters: [{name: a}]}") == [("embedded", "$", 1)]


@pytest.mark.parametrize(
    "elsewhere",
    [
        "clusters: []\ndynamic_resources: {cds_config: {path: cds.yaml}}",
        "clusters: []",
    ],
)
def test_clusters_that_come_from_elsewhere_are_not_missed(elsewhere: str) -> None:
    text = envoy(("recommend", part(f"{{rank: {experiment(cluster='model-v9')}}}")))
    load(text.replace("clusters: [{name: model-v1}, {name: model-v2}]", elsewhere), "envoy.yaml")


def test_weighted_clusters_name_clusters_and_define_none() -> None:
    text = envoy(("recommend", part(f"{{rank: {experiment(cluster='model-v9')}}}")))
    weighted = "match: {prefix: /}, route: {weighted_clusters: {clusters: [{name: model-v9, weight: 1}]}}"
    [(rule, _, _)] = refused(text.replace("match: {prefix: /}", weighted))
    assert rule == "cluster-undefined"


def test_a_part_that_stands_under_no_route_is_refused() -> None:
    metadata = f"metadata: {{filter_metadata: {{meshtrial: {part(f'{{rank: {experiment()}}}')}}}}}"
    place = "$.static_resources.clusters[0].metadata.filter_metadata.meshtrial"
    assert refused(f"static_resources:\n  clusters:\n  - {{name: a, {metadata}}}") == [("embedded", place, 3)]


def test_a_route_whose_name_another_route_has_is_refused() -> None:
    one, two = part(f"{{rank: {experiment()}}}"), part(f"{{search: {experiment()}}}")
    text = envoy(("recommend", one), ("search", two)).replace("name: search", "name: recommend")
    assert [rule for rule, _, _ in refused(text)].count("embedded") == 2


@pytest.mark.parametrize("words", ["# lives beside filter_metadata\n", "# static_resources:\n# resources:\n"])
def test_a_plan_that_only_speaks_of_configurations_is_a_plan(words: str) -> None:
    plan = f"apiVersion: meshtrial/v1\nmetrics: {METRICS}\nexperiments: {{rank: {experiment()}}}\n"
    assert load(words + plan, "plan.yaml") == load(plan, "plan.yaml")
    salted = plan.replace("{unit:", "{salt: filter_metadata, unit:")
    [found] = load(salted, "plan.yaml").experiments
    assert found.bucketing.salt == "filter_metadata"
    written = json.dumps(yaml.safe_load(salted), indent=0)
    assert load(written, "plan.json") == load(salted, "plan.yaml")


def test_thousands_of_routes_are_refused_within_seconds() -> None:
    parts = [part(f"{{{', '.join(f'e{r}-{n}: {{}}' for n in range(5))}}}") for r in range(4_000)]
    start = time.monotonic()
    problems = refused(envoy(*((f"r{n}", within) for n, within in enumerate(parts))))
    assert [rule for rule, _, _ in problems] == ["experiments-count"]
    assert time.monotonic() - start < 20
