"""The walk that people read, held to the decision, for any plan and any request."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshtrial.assign.decide import decide
from meshtrial.assign.explain import explain, explain_unit, mutation_walked, walks_document
from meshtrial.assign.mutation import mutation_of
from meshtrial.assign.unit import unusable
from meshtrial.names import Reason
from proof import often
from small_plans import Document, contexts, documents, loaded, requests

SLOW = settings(
    max_examples=often(50, 2000),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    deadline=None,
)


@SLOW
@given(documents(), st.data())
def test_each_walk_ends_with_the_decisions_own_assignment(document: Document, data: Any) -> None:
    plan = loaded(document)
    request, context = data.draw(requests()), data.draw(contexts(plan))
    walks, decision = explain(request, plan, context), decide(request, plan, context)

    assert [walk.experiment.id for walk in walks] == [found.id for found in plan.experiments]
    assert tuple(walk.assignment for walk in walks if walk.assignment is not None) == decision
    assert mutation_walked(walks, plan) == mutation_of(decision, plan)
    for walk in walks:
        assert walk.steps[0].name == "match"
        last = walk.steps[-1]
        if walk.assignment is None:
            assert last.answer.startswith("no: ")
        else:
            assert (last.name, last.answer.split(",")[0]) == ("arm", walk.assignment.arm.id)
    assert json.loads(json.dumps(walks_document(walks, plan)))["plan"] == plan.digest


@SLOW
@given(documents(), st.data())
def test_lanes_part_all_buckets_and_the_bucket_is_in_the_one_that_is_marked(
    document: Document, data: Any
) -> None:
    plan = loaded(document)
    request, context = data.draw(requests()), data.draw(contexts(plan))
    for walk in explain(request, plan, context):
        if walk.assignment is None or walk.assignment.bucket is None:
            assert walk.lanes == ()
            continue
        edges = [lane.start for lane in walk.lanes] + [walk.experiment.bucketing.buckets]
        assert edges == [0, *(lane.end for lane in walk.lanes)]
        (here,) = [lane for lane in walk.lanes if lane.here]
        assert here.start <= walk.assignment.bucket < here.end
        if walk.assignment.reason is not Reason.CACHED:
            assert here.arm == walk.assignment.arm.id


# What a cookie can carry as well: no `;`, and no blanks around it.
_units = st.text(st.characters(exclude_characters=" \t;", exclude_categories=["Cs"]), min_size=1, max_size=20)


@SLOW
@given(documents(), _units.map(str.encode), st.data())
def test_a_bare_unit_of_any_kind_is_somebody(document: Document, unit: bytes, data: Any) -> None:
    plan = loaded(document)
    found = data.draw(st.sampled_from(plan.experiments))
    walk = explain_unit(unit, found, plan, data.draw(contexts(plan)))

    assert unusable(unit) is None
    assert walk.assignment is not None
    assert walk.assignment.reason is not Reason.DEFAULT
    if not found.unit.member:
        assert walk.assignment.subject.unit == unit
