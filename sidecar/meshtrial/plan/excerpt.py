"""A plan and one of its experiments -> the plan of that experiment alone, as it is recorded: pure."""

from collections.abc import Iterable

from meshtrial.plan.experiments import Surroundings
from meshtrial.plan.load import compiled
from meshtrial.plan.model import Experiment, Plan
from meshtrial.plan.traffic import AnyOf, Condition, InCohort


def excerpt(plan: Plan, experiment: Experiment) -> Plan:
    """The plan with this experiment, and of the rest what it refers to: metrics, layer, cohorts.

    The experiment is the same value, so its phase is; loading the excerpt's canonical document gives the same
    again. The digest is the excerpt's own, not the plan's.
    """
    measured = {metric.id for metric in experiment.decision.metrics()}
    asked = _cohorts(experiment.audience)
    asked |= {split.cohort.id for split in experiment.splits if split.cohort is not None}
    around = Surroundings(
        metrics={metric.id: metric for metric in plan.metrics if metric.id in measured},
        layers={layer.id: layer for layer in plan.layers if layer == experiment.layer},
        cohorts={cohort.id: cohort for cohort in plan.cohorts if cohort.id in asked},
    )
    return compiled(around, [experiment])


def _cohorts(conditions: Iterable[Condition]) -> set[str]:
    """Ids of the cohorts that conditions name; a cohort's own audience names none."""
    found: set[str] = set()
    for condition in conditions:
        match condition:
            case InCohort(cohort):
                found.add(cohort.id)
            case AnyOf(alternatives):
                found |= _cohorts(alternatives)
    return found
