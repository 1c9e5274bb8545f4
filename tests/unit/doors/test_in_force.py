"""What becomes of a plan that is no longer in force."""

import gc

from meshtrial.doors.in_force import InForce
from meshtrial.plan.load import load
from meshtrial.plan.model import Experiment
from plan_texts import RANK


def experiments_alive() -> int:
    return sum(isinstance(each, Experiment) for each in gc.get_objects())


def test_it_goes_without_the_garbage_collector_which_never_sees_what_was_frozen() -> None:
    gc.collect()
    gc.disable()
    try:
        before = experiments_alive()
        in_force: InForce | None = InForce.of(load(RANK.replace("rank-v2:", "rank-v9:"), "plan.yaml"))
        assert experiments_alive() == before + 1
        del in_force
        assert experiments_alive() == before
    finally:
        gc.enable()
