"""What the doctor reads, and what it makes of many documents and many forms of one."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from doctored import FILES, NEEDS
from emitted import target_for
from meshtrial.doctor.examine import document, examine
from meshtrial.emit.envoy import envoy
from meshtrial.errors import SettingError
from meshtrial.plan.load import load
from meshtrial.plan.model import Plan
from meshtrial.plan.needs import Needs, needs_of
from plan_values import experiment, on, plan_of

PLANS = Path(__file__).parents[2] / "plans" / "good"
BASE = (FILES / "good" / "base.yaml").read_text()
EMITTED = sorted(path for path in PLANS.iterdir() if "route:" not in path.read_text())
"""Plans that match on a route of somebody else's are refused by the emitter."""


def found(*texts: str, needs: Needs = NEEDS) -> list[tuple[str, str]]:
    """Check and message of each finding."""
    documents = [document(f"{n}.yaml", text) for n, text in enumerate(texts)]
    return [(f.check.id, f.message) for f in examine(documents, needs)]


def changed(old: str, new: str, text: str = BASE) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


@pytest.mark.parametrize("path", EMITTED, ids=lambda path: path.name)
def test_nothing_is_wrong_with_what_is_emitted_but_that_it_lacks_your_authentication(path: Path) -> None:
    plan = load(path.read_text(), path.name)
    needs = needs_of(plan)
    target = target_for(plan, endpoints=dict.fromkeys(needs.clusters, ("127.0.0.1:8000",)))

    said = [check for check, _ in found(envoy(plan, target), needs=needs)]
    assert said == ["authentication-late"] * len(needs.metadata)


@pytest.mark.parametrize(
    "plan",
    [
        plan_of({"a": on("/a"), "b": on("/b", unit={"header": "X-Session"})}),
        plan_of({"every": experiment(unit={"request": True})}),
    ],
)
def test_nothing_is_wrong_with_what_is_emitted_for_several_units(plan: Plan) -> None:
    assert found(envoy(plan, target_for(plan, sidecar="unix:/s")), needs=needs_of(plan)) == []


def camel(node: Any) -> Any:
    """The same message with protobuf's JSON names; types, and names of a map's keys, stay."""
    if isinstance(node, list):
        return [camel(item) for item in node]
    if not isinstance(node, dict):
        return node
    first_upper = {key: "".join(word.capitalize() for word in key.split("_")) for key in node}
    names = {key: key if "." in key or "@" in key else key[:1] + first_upper[key][1:] for key in node}
    return {names[key]: camel(value) for key, value in node.items()}


@pytest.mark.parametrize("path", sorted((FILES / "bad").iterdir()), ids=lambda path: path.stem)
def test_protobufs_names_mean_the_same(path: Path) -> None:
    text = path.read_text()

    assert found(json.dumps(camel(yaml.safe_load(text)))) == found(text)


def dump(text: str) -> str:
    """What /config_dump says of a bootstrap: as seen on Envoy 1.40, names and nesting alone."""
    bootstrap = yaml.safe_load(text)
    static = bootstrap["static_resources"]
    kind = "type.googleapis.com/envoy.admin.v3."
    configs = [
        {"@type": kind + "BootstrapConfigDump", "bootstrap": bootstrap},
        {
            "@type": kind + "ClustersConfigDump",
            "static_clusters": [{"cluster": c} for c in static["clusters"]],
        },
        {
            "@type": kind + "ListenersConfigDump",
            "dynamic_listeners": [{"active_state": {"listener": li}} for li in static["listeners"]],
        },
    ]
    return json.dumps({"configs": configs}, indent=1)


@pytest.mark.parametrize("name", ["fail-closed", "cluster-missing", "panic", "guard-missing"])
def test_a_dump_has_the_findings_of_its_bootstrap_once(name: str) -> None:
    text = (FILES / "bad" / f"{name}.yaml").read_text()

    assert found(dump(text)) == found(text) != []


ROUTES = changed(
    BASE[BASE.index("          route_config:") : BASE.index("          http_filters:")],
    "          rds: {route_config_name: models, config_source: {path_config_source: {path: rds.yaml}}}\n",
)
TABLE: dict[str, Any] = {
    "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
    "name": "models",
    "virtual_hosts": [
        {
            "name": "all",
            "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster_header": "x-meshtrial-cluster"}}],
        }
    ],
}


@pytest.mark.parametrize("resource", [TABLE, {"name": "models", "resource": TABLE}])
def test_routes_are_found_in_a_file_of_resources(resource: object) -> None:
    assert [check for check, _ in found(ROUTES)] == ["routes-unread"]
    assert [check for check, _ in found(ROUTES, json.dumps({"resources": [resource]}))] == ["guard-missing"]


def test_clusters_are_found_in_a_file_of_resources() -> None:
    listeners, clusters = BASE.split("  clusters:\n")
    cds = "dynamic_resources: {cds_config: {path_config_source: {path: cds.yaml}}}\n"
    typed = "'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster\n"
    resources = "resources:\n" + clusters.replace("  - name: ", f"  - {typed}    name: ")

    assert [check for check, _ in found(listeners + cds)] == ["cluster-unknown"] * 3
    assert found(listeners + cds, resources) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "e.yaml:1: $: the document is empty"),
        ("a: [", "e.yaml:2: $: not readable as YAML"),
        (
            "a: 1\n---\nb: 2",
            "e.yaml:2: $: a second document begins here; an Envoy configuration is one document",
        ),
        ("static_resources: {}\nstatic_resources: {}", "e.yaml:2: $.static_resources: this key stands twice"),
        ("[" * 200 + "]" * 200, "the document is nested deeper than 100 here"),
        ("apiVersion: meshtrial/v1", "e.yaml is no Envoy configuration: a bootstrap has `static_resources`"),
        ("[]", "e.yaml is no Envoy configuration"),
        ("text", "e.yaml is no Envoy configuration"),
    ],
)
def test_what_is_no_configuration_is_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(SettingError) as refused:
        examine([document("e.yaml", text)], NEEDS)

    assert said in str(refused.value)


ODD: Sequence[object] = (None, "9" * 5000, [], {"": None}, [{"name": []}])


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd)[:9])
def test_values_of_any_type_anywhere_are_no_crash(odd: object) -> None:
    def spots(node: Any) -> list[tuple[Any, Any]]:
        keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        return [(node, key) for key in keys] + [spot for key in keys for spot in spots(node[key])]

    whole = yaml.safe_load(BASE)
    for node, key in spots(whole):
        kept, node[key] = node[key], odd
        try:
            found(json.dumps(whole))
        except SettingError:
            assert node is whole
        node[key] = kept
