"""A store and a plan -> everything that a report on one experiment is made of: the way through the analysis.

::

    spans -> units -> cells -> looks -> measured -> findings -> verdict
                        history -^   health ------------------^
"""

from dataclasses import dataclass

from meshtrial.analysis.beside import Beside, beside_of, nothing_beside, shown_until
from meshtrial.analysis.bounds import Bounds
from meshtrial.analysis.caps import Settling, settling_of
from meshtrial.analysis.cells import Clock, Counts, Key, clock_of
from meshtrial.analysis.eligible import eligible
from meshtrial.analysis.frozen import counting_of
from meshtrial.analysis.gathered import Gathered, gathered_of
from meshtrial.analysis.health import check_health
from meshtrial.analysis.health_check import Check, Patient
from meshtrial.analysis.history import History, documents_query, history_of
from meshtrial.analysis.judged import Judged, Peek, judge, nobody, peek_at, peek_cut, withheld_by
from meshtrial.analysis.measure import measure
from meshtrial.analysis.shown import shown_up_to
from meshtrial.analysis.signs import Signs, read_signs
from meshtrial.analysis.signs_losses import read_losses
from meshtrial.analysis.timeline import Look, Timeline, timeline_of
from meshtrial.analysis.units import Trial
from meshtrial.plan.model import Experiment, Plan
from meshtrial.stats.estimate import NotEstimable
from meshtrial.store.engine import Engine
from meshtrial.store.read import Reading


@dataclass(frozen=True, slots=True)
class Analysis:
    """One experiment at one moment."""

    plan: Plan
    experiment: Experiment
    clock: Clock
    history: History
    gathered: Gathered
    counted: Counts
    """Units analysed that count towards the planned size."""
    timeline: Timeline
    signs: Signs
    health: tuple[Check, ...]
    judged: Judged
    peek: Peek | None
    """What the units closed by now would say, where no look may; None unless it was asked for."""
    beside: Beside

    @property
    def phases(self) -> frozenset[str]:
        """Allocations that are compared."""
        return frozenset(key.phase for key in self.gathered.analysed) | {self.experiment.phase}


def analyse(
    store: Engine | Reading, plan: Plan, experiment: Experiment, now: int, *, peek: bool = False
) -> Analysis:
    """Judge one experiment from a store.

    Args:
        store: Its reading: what an earlier report remembered of it is not read again. Or an engine that has
            the view `spans`, of which all is read.
        plan: The plan in force.
        experiment: One of its experiments.
        now: Nanoseconds since 1970.
        peek: Also show what may not be looked at; the verdict does not change.
    """
    rule = experiment.decision
    clock = clock_of(rule.minimum_duration)
    trial = Trial(experiment, clock.period)
    counting = counting_of(store, plan, trial, now)
    tallies = counting.tallies()
    history = history_of(
        counting.engine.rows(documents_query(experiment.id)),
        tallies.phases(),
        plan.digest,
        experiment,
    )
    compared = eligible(history, experiment, rule.closing(), clock.period)
    if experiment.unit.group_kind is not None or experiment.unit.switchback is not None:
        # A group may be control's in one phase and an arm's in the next: it is then in neither.
        compared = tuple(row for row in compared if row.phase == experiment.phase)

    def settles(kept: Counts) -> Settling:
        return settling_of(counted_of(history, experiment, kept), rule, clock, now)

    aggregates, scale = counting.aggregates(tallies, compared, settles)
    engine = counting.engine
    gathered = gathered_of(trial, aggregates, scale)
    counted = counted_of(history, experiment, gathered.analysed)
    timeline = timeline_of(counted, rule, clock, now)
    looks = tuple(measure(engine, trial, gathered, look, clock) for look in timeline.looks)
    signs = read_signs(engine, trial, tallies, aggregates)
    closed = sum(units for key, units in counted.items() if key.period < timeline.closed)
    withheld = withheld_by(timeline, rule, nobody(experiment, gathered, signs), closed)
    judged = judge(experiment, timeline, looks, withheld)
    losses = read_losses(engine, trial, gathered, Bounds(judged.cut, timeline.closed, now), tallies)
    health = check_health(Patient(experiment, history, gathered, signs, losses, judged.looks, clock))
    judged = judged.with_health(
        tuple(f"{check.check}: {check.detail}" for check in health if check.passed is False)
    )
    peeked = None
    if peek and (cut := peek_cut(judged, timeline)) is not None:
        look = Look(cut, now, min(1.0, closed / rule.planned_units), last=False)
        peeked = peek_at(experiment, measure(engine, trial, gathered, look, clock))
    until = shown_until(judged)
    beside = (
        nothing_beside(until.reason)
        if isinstance(until, NotEstimable)
        else beside_of(shown_up_to(engine, trial, gathered, clock, until), plan, timeline.closed)
    )
    return Analysis(
        plan, experiment, clock, history, gathered, counted, timeline, signs, health, judged, peeked, beside
    )


def counted_of(history: History, present: Experiment, analysed: Counts) -> Counts:
    """Units of phases and cohorts in which there is something to compare: control and another arm.

    The plan decides, not the units met, so that units of the past never begin to count.
    """
    forms = {entry.phase: entry.experiment for entry in history.entries} | {present.phase: present}

    def is_compared(key: Key) -> bool:
        form = forms.get(key.phase, present)
        if key.cohort not in {split.id for split in form.splits}:
            return False
        arms = [form.control, *form.treatments()]
        control, *others = (form.share(arm, key.cohort) for arm in arms)
        return control > 0 and max(others) > 0

    return {key: units for key, units in analysed.items() if is_compared(key)}
