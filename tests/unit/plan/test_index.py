"""The index, by how many experiments a request is held against."""

from typing import Any

from meshtrial.plan.model import Plan
from plan_values import experiment, plan_of

ARMS = {"a": {"weight": 50}, "b": {"weight": 50}}


def many(**keys: Any) -> Plan:
    """A hundred experiments; `{}` in a text is the number of each."""
    return plan_of({f"e{n:02}": experiment(ARMS, **filled(keys, n)) for n in range(100)})


def filled(value: Any, number: int) -> Any:
    match value:
        case dict():
            return {key: filled(inner, number) for key, inner in value.items()}
        case list():
            return [filled(inner, number) for inner in value]
        case str():
            return value.replace("{}", str(number))
        case _:
            return value


def found(plan: Plan, path: str = "/", route: str = "", host: str = "", **headers: str) -> list[str]:
    sent = {name.replace("_", "-"): [value.encode()] for name, value in headers.items()}
    return [candidate.id for candidate in plan.index.candidates(route, host, path, sent)]


def test_experiments_of_other_routes_hosts_paths_and_headers_are_not_looked_at() -> None:
    assert found(many(match={"route": "r{}"}), route="r7") == ["e07"]
    assert found(many(match={"host": "h{}.example"}), host="h7.example") == ["e07"]
    assert found(many(match={"path_prefix": "/e{}/"}), path="/e7/x?y=/e8/") == ["e07"]
    assert found(many(match={"headers": {"x-tenant": "t{}"}}), x_tenant="t7") == ["e07"]


def test_a_list_of_values_in_an_audience_files_an_experiment_under_each() -> None:
    plan = many(audience=[{"header": "x-country", "in": ["c{}", "d{}"]}, {"header": "x-app", "exists": True}])

    assert found(plan, x_country="d7") == ["e07"]
    assert found(plan, x_country="e7") == []
    assert found(plan) == []


def test_what_the_fewest_share_counts() -> None:
    plan = many(match={"route": "all", "path_prefix": "/", "headers": {"x-tenant": "t{}"}})

    assert found(plan, route="all", x_tenant="t7") == ["e07"]


def test_experiments_that_ask_for_nothing_exact_are_always_looked_at_in_order() -> None:
    plan = plan_of(
        {
            "b": experiment(ARMS, match={"path_prefix": "/x"}),
            "a": experiment(ARMS, audience=[{"header": "x-country", "not_in": ["DE"]}]),
            "c": experiment(ARMS, match={"method": "GET"}),
        }
    )

    assert found(plan, path="/x") == ["a", "b", "c"]
    assert found(plan) == ["a", "c"]
