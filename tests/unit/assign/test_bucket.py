from fractions import Fraction

import pytest

from meshtrial.assign.bucket import arm_of
from meshtrial.plan.model import Experiment
from plan_values import experiment, plan_of


def uneven(**keys: object) -> Experiment:
    weights = {"x": 0, "b": 12.5, "control": 60, "c": 27.5, "y": 0}
    arms = {arm: {"weight": weight, "cluster": arm} for arm, weight in weights.items()}
    (found,) = plan_of({"exp": experiment(arms, control="control", buckets=40, **keys)}).experiments
    return found


@pytest.mark.parametrize(
    ("bucket", "arm"), [(0, "b"), (4, "b"), (5, "c"), (15, "c"), (16, "control"), (39, "control")]
)
def test_a_bucket_belongs_to_the_arm_whose_lane_it_is_in(bucket: int, arm: str) -> None:
    found = uneven()

    assert arm_of(found, found.splits[0], bucket).id == arm


@pytest.mark.parametrize(
    ("bucket", "arm"),
    [(0, "b"), (1, "b"), (2, "control"), (5, "c"), (9, "c"), (10, "control"), (39, "control")],
)
def test_under_a_ramp_the_first_share_of_each_lane_is_live_rounded_down(bucket: int, arm: str) -> None:
    found = uneven(ramp="50%")  # 2.5 of 5 buckets, 5.5 of 11

    assert arm_of(found, found.splits[0], bucket).id == arm
    assert found.share(found.control) == Fraction(33, 40)
