"""What the sidecar counts, in Prometheus' terms."""

from collections.abc import Callable, Iterator
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from meshtrial.assign.decide import Decision
from meshtrial.doors.live import PlanState
from meshtrial.names import Reason
from meshtrial.state.sticky import Sticky

_SECONDS = (0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05)
"""From a fast decision to the proxy's default timeout."""


class Result(StrEnum):
    """What became of one message."""

    ASSIGNED = "assigned"
    UNMATCHED = "unmatched"
    LATE = "late"
    RESPONSE = "response"
    OTHER_PHASE = "other_phase"
    MALFORMED = "malformed"


class Counters:
    """The counters of one process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        messages = Counter(
            "meshtrial_messages", "Messages answered, by result.", ["result"], registry=registry
        )
        self._results = {result: messages.labels(result.value) for result in Result}
        self._assignments = Counter(
            "meshtrial_assignments",
            "Assignments, by experiment, arm and reason.",
            ["experiment", "arm", "reason"],
            registry=registry,
        )
        self._no_unit = Counter(
            "meshtrial_no_unit",
            "Requests that went to control because they had no usable unit.",
            ["experiment", "why"],
            registry=registry,
        )
        self._outcomes = Counter(
            "meshtrial_response_outcomes",
            "Outcomes recorded from response headers, and headers that could not be read.",
            ["result"],
            registry=registry,
        )
        self._latency = Histogram(
            "meshtrial_decision_seconds",
            "Time from reading a request to its answer's bytes.",
            buckets=_SECONDS,
            registry=registry,
        )

    def answered(self, result: Result) -> None:
        """A message was answered without a decision."""
        self._results[result].inc()

    def decided(self, decision: Decision, nanoseconds: int) -> None:
        """A request was decided in this time."""
        self._results[Result.ASSIGNED].inc()
        self._latency.observe(nanoseconds / 1e9)
        for assignment in decision:
            experiment = assignment.experiment.id
            self._assignments.labels(experiment, assignment.arm.id, assignment.reason.value).inc()
            why = assignment.subject.lacking
            if why is not None and assignment.reason is Reason.DEFAULT:
                self._no_unit.labels(experiment, why.value).inc()

    def outcomes(self, *, taken: int = 0, refused: int = 0) -> None:
        """So many outcomes of a response header were recorded, so many headers could not be read."""
        self._outcomes.labels("taken").inc(taken)
        self._outcomes.labels("refused").inc(refused)


class PlanMetrics(Collector):
    """Reads what is in force when it is asked: a page shows one plan, never two or none."""

    def __init__(self, state: Callable[[], PlanState]) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """`meshtrial_plan_info{digest}`, `meshtrial_plan_refused`, `meshtrial_plan_reloads_total{result}`."""
        state = self._state()
        info = GaugeMetricFamily("meshtrial_plan_info", "1 for the plan in force.", labels=["digest"])
        info.add_metric([state.in_force.plan.digest], 1)
        yield info
        refused = "1 while the newest file is refused and an older plan stays in force."
        yield GaugeMetricFamily("meshtrial_plan_refused", refused, value=bool(state.refused))
        reloads = CounterMetricFamily(
            "meshtrial_plan_reloads", "Times the plan was read again, by result.", labels=["result"]
        )
        for result, count in state.reloads().items():
            reloads.add_metric([result], count)
        yield reloads


class StickyMetrics(Collector):
    """Trouble with the sticky assignments' file."""

    def __init__(self, sticky: Sticky) -> None:
        self._sticky = sticky

    def collect(self) -> Iterator[Metric]:
        """`meshtrial_sticky_failures_total`."""
        failures = "Times that a sticky assignment could not be looked up or kept."
        yield CounterMetricFamily("meshtrial_sticky_failures", failures, value=self._sticky.failures)
