"""A pipeline of two models, each behind an Envoy and a sidecar of its own: it stays on one arm."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from e2e.client import get
from e2e.trial import Trial, arm_of, patient, pseudonym
from plan_values import on, plan_text

USERS = [f"user-{number}" for number in range(50)]
PLAN = plan_text({"rank": on("/recommend", carry=True, exposures="all")})


class Pipeline(NamedTuple):
    """The client asks the edge; the edge's models ask the inner hop, and name nobody but by baggage."""

    edge: Trial
    inner: Trial


@pytest.fixture(scope="module")
def pipeline() -> Iterator[Pipeline]:
    with patient(PLAN) as inner, patient(PLAN, onward=inner.proxy) as edge:
        yield Pipeline(edge, inner)


def other(arm: str) -> str:
    return {"v1": "v2", "v2": "v1"}[arm]


def of_another_arm(user: str) -> str:
    return next(name for name in USERS if arm_of(name, "rank") != arm_of(user, "rank"))


def carried(pipeline: Pipeline, user: str) -> str:
    """The baggage that a model got, as anyone who reads its logs could copy it."""
    (found,) = get(pipeline.edge.proxy, "/recommend", [("x-user-id", user)]).reached_model("baggage")
    return found


def test_a_pipeline_stays_on_one_arm_and_is_exposed_once(pipeline: Pipeline) -> None:
    for user in USERS:
        answer = get(pipeline.edge.proxy, "/recommend", [("x-user-id", user), ("baggage", "tenant=a")])
        model = f"model-{arm_of(user, 'rank')}"
        assert (answer.model, answer.next_model) == (model, model)
        assert answer.reached_next_model("x-user-id") == []
        (baggage,) = answer.reached_next_model("baggage")
        assert baggage.startswith("tenant=a,meshtrial.rank=")

    told = Counter((pseudonym("header:x-user-id", user), arm_of(user, "rank")) for user in USERS)
    at_the_edge = pipeline.edge.recorded("rank")
    assert Counter((row["unit"], row["arm"]) for row in at_the_edge if row["exposed"]) == told
    behind = pipeline.inner.recorded("rank")
    assert Counter((row["unit"], row["arm"]) for row in behind) == told
    assert {(row["reason"], row["exposed"]) for row in behind} == {("carried", False)}


def test_a_clients_own_members_are_of_no_effect_and_do_not_pass_the_edge(pipeline: Pipeline) -> None:
    for user in USERS[:20]:
        arm = arm_of(user, "rank")
        copied = carried(pipeline, of_another_arm(user))
        for forged in (f"meshtrial.rank={other(arm)}", copied, copied.replace("=v", "=x", 1)):
            headers = [("x-user-id", user), ("baggage", f"a=b,{forged}"), ("baggage", forged)]
            answer = get(pipeline.edge.proxy, "/recommend", headers)
            assert (answer.model, answer.next_model) == (f"model-{arm}", f"model-{arm}")
            (passed_on,) = answer.reached_model("baggage")
            assert forged not in passed_on
            assert passed_on.startswith("a=b,meshtrial.rank=")


def test_another_users_copied_member_is_of_no_use_where_the_request_names_its_own_unit(
    pipeline: Pipeline,
) -> None:
    for user in USERS[:20]:
        copied = carried(pipeline, of_another_arm(user))
        mine = get(pipeline.inner.proxy, "/recommend", [("x-user-id", user), ("baggage", copied)])
        assert mine.model == f"model-{arm_of(user, 'rank')}"


def test_with_the_edges_sidecar_dead_a_client_forges_nothing_at_the_second_hop(pipeline: Pipeline) -> None:
    pipeline.edge.stop_sidecar()
    for user in USERS:
        forged = f"meshtrial.rank=v2;u={'0' * 32};k=header:x-user-id;p={'0' * 16};e=99999999999;s={'0' * 32}"
        for baggage in ("meshtrial.rank=v2", forged):
            answer = get(pipeline.edge.proxy, "/recommend", [("x-user-id", user), ("baggage", baggage)])
            # Past the dead sidecar the baggage comes through; the second hop believes signatures alone.
            assert (answer.model, answer.next_model) == ("model-v1", "model-v1")
            named = [("x-user-id", user), ("baggage", baggage)]
            assert get(pipeline.inner.proxy, "/recommend", named).model == f"model-{arm_of(user, 'rank')}"
