"""Runs of `meshtrial simulate`, shared out over processes."""

import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache

from meshtrial.analysis.drawn import Shape, Values
from meshtrial.analysis.simulated import Ran, Scenario, Simulated
from meshtrial.analysis.simulation import Tally, generator, scenarios_of
from meshtrial.cli.metric_flags import Texts
from meshtrial.cli.metric_supposed import expected, metrics_of
from meshtrial.errors import SettingError
from meshtrial.plan.load import load
from meshtrial.plan.model import Experiment, Plan
from meshtrial.stats.size_supposed import Supposed

_CHUNK = 50
"""Runs that a process makes at a time: a fraction of a second."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is simulated, in a form that goes to other processes."""

    plan: str
    """The canonical document."""
    digest: str
    experiment: str
    supposed: tuple[tuple[str, Supposed, Shape], ...]
    """By metric id."""
    units_per_day: float
    days: float | None
    seed: int
    effects: tuple[tuple[str, float], ...]
    """Of a scenario of its own; empty where there is none."""

    @classmethod
    def of(
        cls,
        plan: Plan,
        experiment: Experiment,
        texts: Texts,
        units_per_day: float,
        days: float | None,
        seed: int,
    ) -> "Job":
        """From what the flags say.

        Raises:
            SettingError: A flag is missing, or is not what it must be.
            ValueError: Something is not simulated.
        """
        rule = experiment.decision
        metrics = [*(e.metric for e in rule.primary), *(e.metric for e in rule.guardrails)]
        found = metrics_of(metrics, texts)
        effects = [(m, effect) for m, one in found.items() if (effect := expected(m, one, texts)) is not None]
        supposed = tuple((metric, one, _shape(texts.shape.get(metric))) for metric, one in found.items())
        job = cls(
            plan.canonical, plan.digest, experiment.id, supposed, units_per_day, days, seed, tuple(effects)
        )
        job.simulated()
        return job

    def simulated(self) -> Simulated:
        """What every run has in common.

        Raises:
            ValueError: Something is not simulated.
        """
        experiment = load(self.plan, "plan").experiment(self.experiment)
        if experiment is None:
            raise ValueError(f"the plan has no experiment {self.experiment}")
        metrics = {metric.id: metric for metric in experiment.decision.metrics()}
        values = {metric: Values(metrics[metric], one, shape) for metric, one, shape in self.supposed}
        return Simulated(experiment, values, self.units_per_day, self.days)

    def scenarios(self) -> tuple[Scenario, ...]:
        """Those that are run, in order."""
        return scenarios_of(self.simulated(), dict(self.effects))


def _shape(text: str | None) -> Shape:
    if text is None:
        return Shape.NORMAL
    if text not in set(Shape):
        raise SettingError(f"--shape must be one of {', '.join(Shape)}, not {text}")
    return Shape(text)


@cache
def _prepared(job: Job) -> tuple[Simulated, tuple[Scenario, ...]]:
    """Once in each process."""
    return job.simulated(), job.scenarios()


def chunk(job: Job, scenario: int, start: int, end: int) -> list[Ran]:
    """Some runs of one scenario."""
    simulated, scenarios = _prepared(job)
    return [
        simulated.run(scenarios[scenario], generator(job.seed, scenario, run)) for run in range(start, end)
    ]


def tallies(job: Job, runs: int, jobs: int | None) -> tuple[Tally, ...]:
    """Every scenario so many times, with a progress bar on a terminal.

    Args:
        job: What is simulated.
        runs: Trials of each scenario.
        jobs: Processes; None for one a core. The numbers do not depend on it.

    Raises:
        ValueError: A metric cannot have an effect that is asked for.
    """
    simulated, scenarios = _prepared(job)
    parts = [
        (scenario, start, min(start + _CHUNK, runs))
        for scenario in range(len(scenarios))
        for start in range(0, runs, _CHUNK)
    ]
    processes = min(len(parts), jobs or os.cpu_count() or 1)
    found: dict[tuple[int, int], list[Ran]] = {}
    for (scenario, start, _), ran in _progress(_run(job, parts, processes), len(parts)):
        found[scenario, start] = ran
    arms = [arm.id for arm in simulated.experiment.treatments()]
    return tuple(
        Tally.of(one, arms, [ran for start in range(0, runs, _CHUNK) for ran in found[number, start]])
        for number, one in enumerate(scenarios)
    )


_Part = tuple[int, int, int]


def _run(job: Job, parts: Sequence[_Part], processes: int) -> Iterator[tuple[_Part, list[Ran]]]:
    if processes == 1:
        for part in parts:
            yield part, chunk(job, *part)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        tasks: dict[Future[list[Ran]], _Part] = {pool.submit(chunk, job, *part): part for part in parts}
        try:
            for done in as_completed(tasks):
                yield tasks[done], done.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _progress(done: Iterator[tuple[_Part, list[Ran]]], total: int) -> Iterator[tuple[_Part, list[Ran]]]:
    if not sys.stderr.isatty():
        yield from done
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(done, "simulating", total, console=Console(stderr=True), transient=True)
