"""What is recorded of an experiment holds of every plan."""

from hypothesis import HealthCheck, given, settings

from meshtrial.plan.excerpt import excerpt
from meshtrial.plan.load import load
from meshtrial.plan.model import Plan
from plan_documents import plans


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(plans())
def test_an_excerpts_document_is_a_plan_of_that_experiment_alone_in_the_same_phase(plan: Plan) -> None:
    for experiment in plan.experiments:
        found = load(excerpt(plan, experiment).canonical, "recorded")

        assert found.experiments == (experiment,)
        assert found.experiments[0].phase == experiment.phase
