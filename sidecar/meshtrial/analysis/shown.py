"""A trial up to where its units may be shown by parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from meshtrial.analysis.cells import Cells, Clock, summed
from meshtrial.analysis.gathered import Gathered
from meshtrial.analysis.units import Trial
from meshtrial.analysis.variables import variables_of
from meshtrial.plan.inference import Metric
from meshtrial.plan.model import Experiment
from meshtrial.store.engine import Engine


@dataclass(frozen=True, slots=True)
class Shown:
    """What queries and sums of parts are made from."""

    engine: Engine
    """Has the tables `analysed` and `unit_values`."""
    trial: Trial
    gathered: Gathered
    clock: Clock
    cut: int
    """Units first exposed before count, nanoseconds since 1970."""

    days: Mapping[str, Cells]
    """By metric id, of primaries that are no quantiles: cells of whole days. Hours would take longer, and
    nothing is told by them."""

    @property
    def experiment(self) -> Experiment:
        """What is judged."""
        return self.trial.experiment

    def columns(self, metric: Metric) -> Sequence[str]:
        """A metric's variables in SQL."""
        return [self.gathered.columns[variable] for variable in variables_of(metric)]


def shown_up_to(engine: Engine, trial: Trial, gathered: Gathered, clock: Clock, cut: int) -> Shown:
    """A trial up to a cut."""
    days = {}
    for metric in dict.fromkeys(primary.metric.id for primary in trial.experiment.decision.primary):
        if metric in gathered.cells:
            cells = gathered.cells[metric]
            days[metric] = summed(
                ((key, cell) for key, cell in cells.items() if key.period < cut),
                lambda key: key._replace(period=clock.day_of(key)),
            )
    return Shown(engine, trial, gathered, clock, cut, days)
