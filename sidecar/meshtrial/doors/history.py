"""Plans that come into force -> one span for each experiment: what the analysis knows of earlier phases."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter

from meshtrial.doors.live import PlanState
from meshtrial.logs import EventLog
from meshtrial.pseudonym import PseudonymKey
from meshtrial.record.delivery import Delivery
from meshtrial.record.experiment import experiment_record
from meshtrial.record.spool import LIMIT_BYTES

MOST_WAITING: Final = LIMIT_BYTES // 2
"""Bytes in the spool from which on experiments are left out: what is left is kept for exposures."""

_LOG = EventLog("plan")


class PlanHistory:
    """Records the experiments of each plan, in the thread that reads plans, after the plan is in force."""

    def __init__(self, delivery: Delivery, key: PseudonymKey, registry: CollectorRegistry) -> None:
        self._delivery, self._key = delivery, key
        self._before = ""
        left_out = Counter(
            "meshtrial_experiments_left_out",
            "Experiments of plans taken into force that were not recorded for the analysis.",
            ["why"],
            registry=registry,
        )
        self._too_large, self._no_room = left_out.labels("too_large"), left_out.labels("no_room")

    def record(self, state: PlanState) -> None:
        """Record a plan that came into force; what is too large, or finds no room, is counted and told."""
        plan, at = state.in_force.plan, round(state.loaded_at.timestamp() * 1e9)
        too_large, no_room = [], []
        for experiment in plan.experiments:
            record = experiment_record(plan, experiment, self._before, at, self._key)
            if record is None:
                too_large.append(experiment.id)
            elif self._delivery.counts().waiting_bytes > MOST_WAITING or not self._delivery.offer(record):
                no_room.append(experiment.id)
        self._before = plan.digest
        self._too_large.inc(len(too_large))
        self._no_room.inc(len(no_room))
        if too_large or no_room:
            _LOG.warning(
                "experiments not recorded: where another phase follows, this one may not be analysed",
                plan=plan.digest,
                too_large=too_large,
                no_room=no_room,
            )
