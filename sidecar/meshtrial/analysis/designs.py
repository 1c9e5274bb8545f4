"""Groups and switchbacks of a look -> one metric of each arm beside control."""

from collections.abc import Mapping

from meshtrial.analysis.gathered import Gathered
from meshtrial.analysis.measured import Key, Measured
from meshtrial.analysis.timeline import Look
from meshtrial.analysis.units import Trial
from meshtrial.plan.inference import Metric
from meshtrial.stats.estimate import NotEstimable
from meshtrial.store.engine import Engine


def measured_groups(
    engine: Engine, trial: Trial, gathered: Gathered, metric: Metric, look: Look
) -> Mapping[Key, Measured]:
    return {
        (metric.id, arm.id): Measured(NotEstimable("todo"), 0, 0, 0.0)
        for arm in trial.experiment.treatments()
    }


measured_switchback = measured_groups
