"""A trial up to where its units may be shown by parts."""

from collections.abc import Sequence
from dataclasses import dataclass

from meshtrial.analysis.cells import Cells, Clock
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

    @property
    def experiment(self) -> Experiment:
        """What is judged."""
        return self.trial.experiment

    def cells(self, metric: Metric) -> Cells:
        """Of a metric that is no quantile."""
        cells = self.gathered.cells[metric.id]
        return {key: cell for key, cell in cells.items() if key.period < self.cut}

    def columns(self, metric: Metric) -> Sequence[str]:
        """A metric's variables in SQL."""
        return [self.gathered.columns[variable] for variable in variables_of(metric)]
