"""Which experiments meet on one request: as the loader, the index and the decision have it."""

from typing import Any
from urllib.parse import urlencode

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshtrial.assign.audience import in_audience
from meshtrial.assign.decide import decide
from meshtrial.assign.matching import matches
from meshtrial.assign.request import Request
from meshtrial.errors import PlanError
from meshtrial.plan.model import Experiment, Plan
from meshtrial.plan.overlap import Example, common_request, wanted_of
from meshtrial.plan.traffic import Carrier
from plan_values import experiment, plan_of

SLOW = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
CHOOSING = {"a": {"weight": 50, "cluster": "a"}, "b": {"weight": 50, "cluster": "b"}}
FEW = st.sampled_from(["1", "12", "2", "21"])
"""Few values, so that two experiments often ask for the same one."""

maybe: dict[str, st.SearchStrategy[Any]] = {
    "route": st.sampled_from(["r", "s"]),
    "host": st.sampled_from(["a.example", "b.example"]),
    "path_prefix": st.sampled_from(["/", "/a", "/ab", "/a/b", "/b"]),
    "method": st.sampled_from(["GET", "POST"]),
    "headers": st.dictionaries(st.sampled_from(["x-a", "x-b"]), FEW, min_size=1),
}
sources: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"header": "x-a"},
        {"header": "x-b"},
        {"cookie": "c"},
        {"query": "q"},
        {"metadata": {"namespace": "n", "path": ["p"]}},
    ]
)
operators: dict[str, st.SearchStrategy[Any]] = {
    "in": st.lists(FEW, min_size=1, max_size=3),
    "not_in": st.lists(FEW, min_size=1, max_size=3),
    "exists": st.booleans(),
    "prefix": st.sampled_from(["1", "2"]),
}
tests = st.sampled_from([*operators]).flatmap(
    lambda name: st.tuples(sources, operators[name]).map(lambda pair: {**pair[0], name: pair[1]})
)


@st.composite
def askings(draw: st.DrawFn) -> dict[str, Any]:
    """A match and an audience."""
    found: dict[str, Any] = {}
    if keys := draw(st.sets(st.sampled_from([*maybe]), max_size=2)):
        found["match"] = {key: draw(maybe[key]) for key in sorted(keys)}
    if conditions := draw(st.lists(tests, max_size=3)):
        found["audience"] = conditions
    return found


@st.composite
def requests(draw: st.DrawFn) -> Request:
    values = {key: draw(st.none() | FEW) for key in ("x-a", "x-b", "c", "q", "p")}
    return built(
        draw(maybe["path_prefix"]) + draw(st.sampled_from(["", "/x"])),
        draw(st.sampled_from(["", "r", "s"])),
        draw(st.sampled_from(["a.example", "b.example:80"])),
        draw(maybe["method"]),
        values,
    )


def built(path: str, route: str, host: str, method: str, values: dict[str, str | None]) -> Request:
    headers = {":method": [method.encode()], ":authority": [host.encode()]}
    headers |= {name: [value.encode()] for name in ("x-a", "x-b") if (value := values.get(name)) is not None}
    if (cookie := values.get("c")) is not None:
        headers["cookie"] = [f"c={cookie}".encode()]
    query = values.get("q")
    metadata = {"n": {"p": values["p"]}} if values.get("p") is not None else {}
    return Request(
        f"{path}?{urlencode({'q': query})}" if query is not None else path, route, headers, metadata
    )


def of_example(example: Example) -> Request:
    keys = {Carrier.HEADER: None, Carrier.COOKIE: "c", Carrier.QUERY: "q", Carrier.METADATA: "p"}
    values = {keys[source.carrier] or source.name: value for source, value in example.values.items()}
    return built(
        example.path, example.route or "", example.host or "c.example", example.method or "PUT", {**values}
    )


def alone(asking: dict[str, Any]) -> Experiment:
    return plan_of({"a": experiment(CHOOSING, **asking)}).experiments[0]


def takes(request: Request, one: Experiment) -> bool:
    return matches(request, one.match) and in_audience(request, one.audience, one.id, b"u")


def refused(one: dict[str, Any], other: dict[str, Any]) -> bool:
    try:
        plan_of({"a": experiment(CHOOSING, **one), "b": experiment(CHOOSING, **other)})
    except PlanError as error:
        return [problem.rule for problem in error.problems] == ["cluster-chosen-twice"]
    return False


def shared(one: Experiment, other: Experiment) -> Example | None:
    wanted = (wanted_of(e.match, e.audience) for e in (one, other))
    first, second = wanted
    return common_request(one.match, first, other.match, second)


@SLOW
@given(askings(), askings())
def test_two_that_choose_the_cluster_are_refused_exactly_where_they_have_a_common_request(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert refused(one, other) == (shared(alone(one), alone(other)) is not None)


@SLOW
@given(askings(), askings())
def test_both_take_part_in_the_example(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = alone(one), alone(other)
    example = shared(first, second)

    if example is not None:
        request = of_example(example)
        assert takes(request, first)
        assert takes(request, second)


@SLOW
@given(askings(), askings(), st.lists(requests(), min_size=1, max_size=20))
def test_no_request_chooses_its_cluster_twice(
    one: dict[str, Any], other: dict[str, Any], received: list[Request]
) -> None:
    if not refused(one, other):
        first, second = alone(one), alone(other)
        assert not [request for request in received if takes(request, first) and takes(request, second)]


def setting(header: str) -> dict[str, dict[str, Any]]:
    """Arms that set one header."""
    return {"a": {"weight": 50, "headers": {header: "a"}}, "b": {"weight": 50}}


def many(asked: list[dict[str, Any]]) -> Plan:
    """Experiments that set a header each, so that any number may meet."""
    return plan_of({f"e{i}": experiment(setting(f"x-set-{i}"), **one) for i, one in enumerate(asked)})


@SLOW
@given(st.lists(askings(), min_size=1, max_size=8), requests())
def test_the_index_leaves_out_nobody_that_takes_part(asked: list[dict[str, Any]], request: Request) -> None:
    plan = many(asked)
    expected = [found.id for found in plan.experiments if takes(request, found)]

    assert [assignment.experiment.id for assignment in decide(request, plan)] == expected


@SLOW
@given(st.lists(askings(), min_size=1, max_size=5), st.lists(askings(), max_size=3))
def test_unrelated_experiments_leave_phases_as_they_are(
    asked: list[dict[str, Any]], more: list[dict[str, Any]]
) -> None:
    before, after = many(asked), many([*asked, *more])

    assert [e.phase for e in before.experiments] == [e.phase for e in after.experiments][: len(asked)]


@SLOW
@given(st.lists(askings(), min_size=2, max_size=8))
def test_of_each_experiment_the_first_conflict_in_the_document_is_told(asked: list[dict[str, Any]]) -> None:
    known = [alone(one) for one in asked]
    expected = []
    for index, later in enumerate(known):
        rivals = [i for i in range(index) if shared(known[i], later)]
        if rivals:
            expected.append((f"$.experiments.e{index}", f"`e{rivals[0]}`"))
    try:
        plan_of({f"e{i}": experiment(CHOOSING, **one) for i, one in enumerate(asked)})
        told = []
    except PlanError as error:
        told = [(p.path, p.message.split()[2]) for p in error.problems]

    assert told == expected
