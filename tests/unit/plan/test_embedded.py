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


WITHIN = "metadata.filter_metadata.meshtrial"


def test_a_plan_that_is_no_routes_is_refused_where_it_stands() -> None:
    whole = f"metadata: {{filter_metadata: {{meshtrial: {part(f'{{rank: {experiment()}}}')}}}}}"
    text = (
        "static_resources:\n"
        "  clusters:\n"
        f"  - {{name: model-v1, {whole}}}\n"
        "  listeners:\n"
        f"  - {{name: entrance, {whole}}}\n"
        "  - route_config:\n"
        "      virtual_hosts:\n"
        f"      - {{name: models, {whole}}}\n"
    )
    assert refused(text) == [
        ("embedded", f"$.static_resources.clusters[0].{WITHIN}", 3),
        ("embedded", f"$.static_resources.listeners[0].{WITHIN}", 5),
        ("embedded", f"$.static_resources.listeners[1].route_config.virtual_hosts[0].{WITHIN}", 8),
    ]


def test_a_file_of_route_resources_carries_it() -> None:
    text = (
        "resources:\n"
        "- '@type': type.googleapis.com/envoy.config.route.v3.RouteConfiguration\n"
        "  name: local\n"
        "  virtual_hosts:\n"
        "  - name: models\n"
        "    routes:\n"
        "    - name: recommend\n"
        f"      metadata: {{filter_metadata: {{meshtrial: {part(f'{{rank: {experiment()}}}')}}}}}\n"
    )
    assert load(text, "rds.yaml") == on_its_own(f"{{rank: {experiment('match: {route: recommend}, ')}}}")


def test_a_route_whose_name_another_route_bears_is_refused() -> None:
    text = envoy(("recommend", part(f"{{rank: {experiment()}}}")), ("search", "{}"))
    twice = text.replace("{name: search, ", "{name: recommend, ").replace(
        ", metadata: {filter_metadata: {meshtrial: {}}}", ""
    )
    with pytest.raises(PlanError) as error:
        load(twice, "envoy.yaml")
    [problem] = error.value.problems
    assert (problem.rule, problem.path, problem.line) == ("embedded", f"{ROUTES}[0].{WITHIN}", 6)
    assert "lines 6, 7:" in problem.message


def test_one_route_table_of_two_listeners_is_one() -> None:
    text = envoy(("recommend", part(f"{{rank: {experiment()}}}")))
    shared = text.replace("route_config:", "route_config: &table").replace(
        "  clusters:", "  - route_config: *table\n  clusters:"
    )
    assert load(shared, "envoy.yaml") == load(text, "envoy.yaml")


def istio(kind: str, operation: str, name: str = "") -> str:
    """An EnvoyFilter that patches what it finds as the route `recommend`."""
    within = part(f"{{rank: {experiment()}}}")
    found = "routeConfiguration: {vhost: {route: {name: recommend}}}"
    value = f"{{{name}metadata: {{filter_metadata: {{meshtrial: {within}}}}}}}"
    return (
        "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nspec:\n  configPatches:\n"
        f"  - {{applyTo: {kind}, match: {{{found}}}, patch: {{operation: {operation}, value: {value}}}}}\n"
    )


PATCHED = "$.spec.configPatches[0].patch.value.metadata.filter_metadata.meshtrial"


def test_a_patch_of_something_else_than_a_route_carries_no_plan() -> None:
    assert refused(istio("VIRTUAL_HOST", "MERGE")) == [("embedded", PATCHED, 5)]


def test_a_route_that_a_patch_inserts_is_not_the_one_that_it_finds() -> None:
    assert refused(istio("HTTP_ROUTE", "INSERT_BEFORE")) == [("embedded", PATCHED, 5)]
    found = load(istio("HTTP_ROUTE", "INSERT_BEFORE", "name: search, "), "mesh.yaml")
    assert found == on_its_own(f"{{rank: {experiment('match: {route: search}, ')}}}")


def test_what_a_later_route_says_is_never_passed_over() -> None:
    one = part(f"{{rank: {experiment()}}}")
    place = f"{ROUTES}[1].metadata.filter_metadata.meshtrial"
    newer = part(f"{{search: {experiment()}}}").replace("meshtrial/v1", "meshtrial/v2")
    assert refused(envoy(("recommend", one), ("search", newer))) == [("key-twice", f"{place}.apiVersion", 7)]
    assert refused(envoy(("recommend", one), ("search", part("5")))) == [
        ("key-twice", f"{place}.experiments", 7)
    ]
    assert refused(envoy(("recommend", one), ("search", "5"))) == [("type", place, 7)]


SECONDS = 10
"""Several times what is meant: a machine that runs tests is not idle."""


def test_too_many_experiments_under_many_routes_are_refused_at_once() -> None:
    five = "{" + ", ".join(f"e@{i}: *e" for i in range(5)) + "}"
    first = ("first", part(f"{{rank: &e {experiment()}}}"))
    routes = [
        (f"r{n}", f"{{apiVersion: meshtrial/v1, experiments: {five.replace('@', f'{n}-')}}}")
        for n in range(2000)
    ]
    start = time.monotonic()
    problems = refused(envoy(first, *routes))
    assert problems == [
        ("experiments-count", f"{ROUTES}[200].metadata.filter_metadata.meshtrial.experiments", 206)
    ]
    assert time.monotonic() - start < SECONDS


def test_a_thousand_routes_of_one_experiment_each_are_read_within_seconds() -> None:
    anchored = part(f"{{rank: &e {experiment()}}}", METRICS.replace("{conversion", "&m {conversion"))
    routes = [
        (f"r{n}", f"{{apiVersion: meshtrial/v1, metrics: *m, experiments: {{e{n}: *e}}}}") for n in range(999)
    ]
    start = time.monotonic()
    assert len(load(envoy(("r", anchored), *routes), "envoy.yaml").experiments) == 1000
    assert time.monotonic() - start < SECONDS


@pytest.mark.parametrize(
    "text",
    [
        "static_resources: {listeners: [" + "{}, " * 1_100_000 + "]}",
        "static_resources:\n  a0: &a0 [x]\n"
        + "".join(f"  a{i}: &a{i} [{f'*a{i - 1}, ' * 9}x]\n" for i in range(1, 30)),
        "resources: [{name: '" + "x" * 20_000_000 + "'}]",
    ],
    ids=["nodes", "aliases", "characters"],
)
def test_a_configuration_that_is_too_large_is_refused_within_seconds(text: str) -> None:
    start = time.monotonic()
    assert [rule for rule, _, _ in refused(text)] == ["yaml"]
    assert time.monotonic() - start < SECONDS


def test_a_configuration_may_be_larger_than_a_plan() -> None:
    listeners = "".join(f"  - {{name: l{i}, address: {'x' * 30}}}\n" for i in range(50_000))
    text = envoy(("recommend", part(f"{{rank: {experiment()}}}"))).replace(
        "  listeners:\n", "  listeners:\n" + listeners
    )
    assert len(text) > 2_000_000
    assert [e.id for e in load(text, "envoy.yaml").experiments] == ["rank"]
