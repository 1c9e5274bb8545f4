"""The emitted configuration in a real Envoy: accepted, safe without a sidecar, obedient with one."""

import json
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from envoy_data_plane.envoy.service.ext_proc import v3 as ext_proc
from envoy_data_plane.envoy.type import v3 as envoy_type

from e2e.client import Answer, get
from e2e.scripted import Sidecar, collector, sets, sidecar
from e2e.tokens import public_keys
from e2e.trial import until
from e2e.upstreams import models
from emitted import target_for
from meshtrial.demo.envoy import Envoy, binary
from meshtrial.demo.envoy import envoy as run_envoy
from meshtrial.doctor.examine import document, examine
from meshtrial.emit.envoy import envoy as emit_envoy
from meshtrial.errors import NotStarted
from meshtrial.plan.model import Plan
from meshtrial.plan.needs import needs_of
from plan_values import experiment, on, plan_of

NOBODY = "127.0.0.1:1"
"""Loopback without a listener: tcpmux is never served."""
RECOMMEND = plan_of({"rank-v2": on("/recommend")})
BY_REQUEST = plan_of({"rank-v2": experiment(unit={"request": True})})
USER = ("x-user-id", "u-1")
MODELS = ("model-v1", "model-v2", "shop")

SHARED = {
    "a": {"weight": 50, "cluster": "one"},
    "b": {"weight": 25, "cluster": "two", "headers": {"x-head": "1"}},
    "c": {"weight": 25, "cluster": "two", "headers": {"x-head": "2", "x.odd+name": "~"}},
}
OTHER = {"s1": {"weight": 50, "cluster": "search-1"}, "s2": {"weight": 50, "cluster": "search-2"}}


@contextmanager
def proxied(plan: Plan, directory: Path, **changes: Any) -> Iterator[Envoy]:
    """Envoy with the plan and a model for each cluster, on free ports; without a sidecar by default."""
    clusters = {arm.cluster for e in plan.experiments for arm in e.arms} | {changes.get("default_cluster")}
    with models(*(c for c in clusters if c)) as addresses:
        settings = {
            "listen": "127.0.0.1:0",
            "admin": "127.0.0.1:0",
            "sidecar": NOBODY,
            "collector": NOBODY,
            "access_log": str(directory / "access.log"),
            "endpoints": {name: (address,) for name, address in addresses.items()},
        }
        with run_envoy(emit_envoy(plan, target_for(plan, **{**settings, **changes})), directory) as envoy:
            yield envoy


@contextmanager
def decided(
    plan: Plan, directory: Path, answer: ext_proc.ProcessingResponse, address: str = NOBODY, **changes: Any
) -> Iterator[tuple[Envoy, Sidecar]]:
    """As `proxied`, with a healthy sidecar that always gives this answer."""
    address = "127.0.0.1:0" if address == NOBODY else address
    with (
        sidecar(lambda _: answer, address) as (scripted, bound),
        proxied(plan, directory, sidecar=bound, **changes) as envoy,
    ):
        healthy = "cluster.meshtrial.membership_healthy"
        until(lambda: envoy.stats(healthy)[healthy] == 1)
        yield envoy, scripted


def ask(envoy: Envoy, path: str = "/recommend", headers: Sequence[tuple[str, str]] = (USER,)) -> Answer:
    return get(envoy.listeners[0], path, headers)


def access_log(directory: Path, lines: int) -> list[dict[str, Any]]:
    """The log once it has this many lines; Envoy writes it every 100 ms."""
    log = directory / "access.log"
    until(lambda: log.read_text().count("\n") >= lines)
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.mark.parametrize(
    ("plan", "changes"),
    [
        pytest.param(RECOMMEND, {}, id="one experiment"),
        pytest.param(BY_REQUEST, {}, id="every path, split by request"),
        pytest.param(plan_of({"a": on("/a"), "b": on("/b", arms=OTHER)}), {}, id="several prefixes"),
        pytest.param(plan_of({"heads": experiment(SHARED)}), {}, id="shared clusters and odd headers"),
        pytest.param(RECOMMEND, {"sidecar": "unix:/run/meshtrial.sock"}, id="sidecar on a socket"),
        pytest.param(RECOMMEND, {"listen": "[::1]:10000", "collector": "[::1]:4317"}, id="IPv6"),
        pytest.param(RECOMMEND, {"sidecar": "meshtrial:9002", "collector": "otel:4317"}, id="names"),
        pytest.param(
            RECOMMEND,
            {"endpoints": {"model-v1": ("[::1]:80", "10.0.0.1:80"), "model-v2": ("m.example:80",)}},
            id="many endpoints",
        ),
        pytest.param(
            RECOMMEND,
            {
                "default_cluster": "shop",
                "endpoints": dict.fromkeys(MODELS, ("10.0.0.1:80",)),
                "admin": "127.0.0.1:9901",
                "access_log": "/dev/null",
                "message_timeout_ms": 5,
            },
            id="every option",
        ),
    ],
)
def test_envoy_accepts_what_is_emitted(plan: Plan, changes: dict[str, Any], tmp_path: Path) -> None:
    configuration = tmp_path / "envoy.yaml"
    configuration.write_text(emit_envoy(plan, target_for(plan, **changes)))

    assert_accepted(configuration)


def test_envoy_accepts_the_quickstart() -> None:
    assert_accepted(Path(__file__).parents[2] / "envoy" / "quickstart.yaml")


def test_envoy_and_the_doctor_accept_the_filter_of_tokens_as_it_is_documented(tmp_path: Path) -> None:
    namespace = "envoy.filters.http.jwt_authn"
    page = (Path(__file__).parents[2] / "envoy" / "README.md").read_text()
    section = page.partition("## Units from verified tokens")[2].partition("\n## ")[0]
    [snippet] = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    keys = tmp_path / "jwks.json"
    keys.write_text(public_keys())
    plan = plan_of({"a": on("/a", unit={"metadata": {"namespace": namespace, "path": ["payload", "sub"]}})})
    whole = yaml.safe_load(emit_envoy(plan, target_for(plan)))
    manager = whole["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    manager["http_filters"][:0] = yaml.safe_load(snippet.replace("/etc/envoy/jwks.json", str(keys)))
    configuration = tmp_path / "envoy.yaml"
    configuration.write_text(yaml.safe_dump(whole))

    assert_accepted(configuration)
    assert examine([document("envoy.yaml", configuration.read_text())], needs_of(plan)) == ()
    forwarded = manager["http_filters"][1]["typed_config"]["metadata_options"]["forwarding_namespaces"]
    assert forwarded == {"untyped": [namespace]}
    assert f"forwarding_namespaces: {{untyped: [{namespace}]}}" in section


def assert_accepted(configuration: Path) -> None:
    command = [str(binary()), "--mode", "validate", "-c", str(configuration), "--use-dynamic-base-id"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr.lower()


def test_a_configuration_that_envoy_refuses_is_told_with_envoys_own_words(tmp_path: Path) -> None:
    said = pytest.raises(NotStarted, match=r"(?s)^Envoy ended with status 1, its log .*'typo'")
    with said, run_envoy("typo: 1", tmp_path):
        pass


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Envoy]:
    """Envoy whose sidecar is dead."""
    with proxied(RECOMMEND, tmp_path_factory.mktemp("alone")) as envoy:
        yield envoy


@pytest.mark.parametrize(
    "forged",
    [
        [("x-meshtrial-cluster", "model-v2")],
        [("X-Meshtrial-Cluster", "model-v2")],
        [("X-MESHTRIAL-CLUSTER", "model-v2"), ("x-meshtrial-cluster", "model-v2")],
        [("x-mEsHtRiAl-ClUsTeR", "model-v2")] * 20,
    ],
)
def test_a_client_cannot_choose_its_model(alone: Envoy, forged: list[tuple[str, str]]) -> None:
    answer = ask(alone, headers=[USER, *forged])

    assert answer.model == "model-v1"
    assert answer.reached_model("x-meshtrial-cluster") == []


def test_a_clients_copies_of_our_headers_never_reach_a_model(alone: Envoy) -> None:
    forged = [
        ("X-Meshtrial-Arms", "rank-v2=v2"),
        ("x-meshtrial-new", "1"),
        ("X-Model-Version", "2"),
        ("x-model-version", "3"),
    ]
    answer = ask(alone, headers=[USER, ("x-meshtrialish", "kept"), *forged])

    assert [answer.reached_model(name.lower()) for name, _ in forged] == [[], [], [], []]
    assert answer.reached_model("x-meshtrialish") == ["kept"]
    assert answer.reached_model("x-user-id") == ["u-1"]


@pytest.mark.parametrize("via", [[], [("x-forwarded-for", "10.0.0.1")], [("x-envoy-internal", "true")]])
def test_a_clients_request_id_is_replaced_and_told(alone: Envoy, via: list[tuple[str, str]]) -> None:
    answer = ask(alone, headers=[("X-Request-Id", "chosen"), ("x-request-id", "chosen"), *via])

    (reached,) = answer.reached_model("x-request-id")
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", reached)
    assert answer.header("x-request-id") == reached
    assert ask(alone).header("x-request-id") != reached


def test_a_client_cannot_shorten_its_own_timeout(alone: Envoy) -> None:
    headers = [("x-envoy-upstream-rq-timeout-ms", "1"), ("x-envoy-max-retries", "9")]
    assert ask(alone, headers=headers).reached_model("x-envoy-expected-rq-timeout-ms") == ["15000"]


@pytest.mark.parametrize("path", ["/", "/recommen", "/Recommend", "/x/../other"])
def test_a_path_outside_every_experiment_is_not_found(alone: Envoy, path: str) -> None:
    answer = ask(alone, path)

    assert answer.status == 404
    assert answer.body == b"no experiment of the plan takes requests for this path"


@pytest.mark.parametrize("path", ["/recommend", "/recommend/1?a=b", "/x/../recommend", "/recommendations"])
def test_a_path_is_normalised_before_it_is_matched_by_prefix(alone: Envoy, path: str) -> None:
    assert ask(alone, path).model == "model-v1"


def test_a_dead_sidecar_costs_no_timeout(alone: Envoy) -> None:
    ask(alone)
    begun = time.monotonic()
    for _ in range(20):
        ask(alone)
    assert time.monotonic() - begun < 20 * 0.05 / 2


def test_paths_outside_every_experiment_go_to_the_default_cluster(tmp_path: Path) -> None:
    with proxied(RECOMMEND, tmp_path, default_cluster="shop") as envoy:
        assert ask(envoy, "/basket", [("x-meshtrial-cluster", "model-v2")]).model == "shop"
        assert ask(envoy, "/recommend").model == "model-v1"


V2 = sets(
    ("x-meshtrial-cluster", "model-v2"),
    ("x-meshtrial-arms", "rank-v2=v2"),
    ("x-model-version", "2"),
    arms="rank-v2=v2",
    unit="ab" * 16,
    plan="cd" * 32,
)


@pytest.mark.parametrize("on_socket", [False, True])
def test_the_sidecars_answer_chooses_the_model(tmp_path: Path, on_socket: bool) -> None:
    address = f"unix:{tmp_path}/s" if on_socket else NOBODY
    with decided(RECOMMEND, tmp_path, V2, address) as (envoy, _):
        answer = ask(envoy, headers=[USER, ("x-meshtrial-cluster", "model-v1"), ("x-model-version", "9")])

    assert answer.model == "model-v2"
    assert answer.reached_model("x-meshtrial-cluster") == ["model-v2"]
    assert answer.reached_model("x-meshtrial-arms") == ["rank-v2=v2"]
    assert answer.reached_model("x-model-version") == ["2"]


def test_the_sidecar_is_shown_the_path_the_unit_and_the_time_alone(tmp_path: Path) -> None:
    with decided(RECOMMEND, tmp_path, V2) as (envoy, scripted):
        ask(envoy, "/recommend?q=1", [USER, USER, ("cookie", "secret"), ("authorization", "secret")])
        ask(envoy, "/elsewhere")
    (asked,) = scripted.seen

    assert asked.request_headers is not None
    assert asked.request_headers.headers is not None
    shown = [(header.key, header.raw_value) for header in asked.request_headers.headers.headers]
    assert shown == [(":path", b"/recommend?q=1"), ("x-user-id", b"u-1"), ("x-user-id", b"u-1")]
    attributes = asked.attributes["envoy.filters.http.ext_proc"].to_dict()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+\+00:00", attributes.pop("request.time"))
    assert attributes == {}


def test_the_unit_of_a_split_by_request_is_envoys_id_not_the_clients(tmp_path: Path) -> None:
    with decided(BY_REQUEST, tmp_path, V2) as (envoy, scripted):
        answer = ask(envoy, headers=[("x-request-id", "chosen")])
    (asked,) = scripted.seen

    assert asked.request_headers is not None
    assert asked.request_headers.headers is not None
    shown = {header.key: header.raw_value.decode() for header in asked.request_headers.headers.headers}
    assert shown["x-request-id"] == answer.header("x-request-id") != "chosen"


def test_an_answer_sets_nothing_but_what_the_plan_names(tmp_path: Path) -> None:
    meddling = sets(
        ("x-meshtrial-cluster", "model-v2"),
        ("x-meshtrial-other", "1"),
        ("x-user-id", "u-2"),
        ("cookie", "a=b"),
        (":path", "/admin"),
        ("host", "elsewhere"),
    )
    with decided(RECOMMEND, tmp_path, meddling) as (envoy, _):
        answer = ask(envoy)

    assert answer.model == "model-v2"
    assert answer.reached_model("x-user-id") == ["u-1"]
    assert answer.reached_model("x-meshtrial-other") == answer.reached_model("cookie") == []
    assert answer.reached_model("host") == [envoy.listeners[0]]


REFUSAL = ext_proc.ImmediateResponse(status=envoy_type.HttpStatus(code=envoy_type.StatusCode(403)))


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(sets(("x-meshtrial-cluster", "model-v9")), id="an unknown cluster"),
        pytest.param(sets(("x-meshtrial-cluster", "meshtrial")), id="a cluster of ours"),
        pytest.param(sets(("x-meshtrial-cluster", "")), id="no cluster"),
        pytest.param(ext_proc.ProcessingResponse(), id="nothing"),
        pytest.param(ext_proc.ProcessingResponse(immediate_response=REFUSAL), id="a refusal"),
        pytest.param(
            ext_proc.ProcessingResponse(response_headers=ext_proc.HeadersResponse()), id="another phase"
        ),
    ],
)
def test_a_wrong_answer_gets_control(tmp_path: Path, wrong: ext_proc.ProcessingResponse) -> None:
    with decided(RECOMMEND, tmp_path, wrong) as (envoy, scripted):
        assert ask(envoy).model == "model-v1"
        assert len(scripted.seen) == 1


def test_a_late_answer_gets_control_and_leaves_no_arm_in_the_log(tmp_path: Path) -> None:
    with decided(RECOMMEND, tmp_path, V2) as (envoy, scripted):

        def late(_: ext_proc.ProcessingRequest) -> ext_proc.ProcessingResponse:
            time.sleep(0.3)
            return V2

        scripted.answering = late
        answer = ask(envoy)
        (line,) = access_log(tmp_path, 1)

    assert answer.model == "model-v1"
    assert line["duration_ms"] >= 50
    assert (line["arms"], line["unit"], line["plan"], line["failed_open"]) == (None, None, None, "1")


def test_the_access_log_says_who_got_what_and_nothing_private(tmp_path: Path) -> None:
    with decided(RECOMMEND, tmp_path, V2) as (envoy, _):
        answer = ask(envoy, "/recommend/7?user=u-1")
        missed = ask(envoy, "/elsewhere?user=u-1")
        served, unserved = access_log(tmp_path, 2)

    assert "u-1" not in (tmp_path / "access.log").read_text()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", served.pop("time"))
    assert re.fullmatch(r"[0-9a-f]{32}", served.pop("trace_id"))
    assert 0 < int(served.pop("decision_us")) < 50_000
    assert served.pop("duration_ms") >= 0
    assert served == {
        "request_id": answer.header("x-request-id"),
        "method": "GET",
        "path": "/recommend/7",
        "status": 200,
        "flags": "-",
        "route": "rank-v2-model-v2",
        "cluster": "model-v2",
        "arms": "rank-v2=v2",
        "unit": "ab" * 16,
        "plan": "cd" * 32,
        "failed_open": "0",
    }
    assert unserved["request_id"] == missed.header("x-request-id")
    assert [unserved[key] for key in ("status", "route", "cluster", "arms")] == [404, "_no-route", None, None]


def test_spans_carry_the_decision_and_continue_the_clients_trace(tmp_path: Path) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    with collector() as (spans, address), decided(RECOMMEND, tmp_path, V2, collector=address) as (envoy, _):
        for _ in range(10):  # Envoy exports by five, or after five seconds
            ask(envoy, headers=[USER, ("traceparent", f"00-{trace}-b7ad6b7169203331-01")])
        until(lambda: any(span.name == "ingress" for span in spans))
    server = next(span for span in spans if span.name == "ingress")
    tags = {a.key: a.value.string_value for a in server.attributes if a.key.startswith("meshtrial.")}

    assert server.trace_id.hex() == trace
    assert tags == {"meshtrial.arms": "rank-v2=v2", "meshtrial.unit": "ab" * 16, "meshtrial.plan": "cd" * 32}
