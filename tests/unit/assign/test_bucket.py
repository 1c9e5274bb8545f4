import pytest

from meshtrial.assign.bucket import arm_of, bucket_of, hashed_key, lanes
from meshtrial.plan.model import Experiment
from plan_values import experiment, plan_of


def uneven() -> Experiment:
    weights = {"x": 0, "b": 12.5, "control": 60, "c": 27.5, "y": 0}
    arms = {arm: {"weight": weight, "cluster": arm} for arm, weight in weights.items()}
    (found,) = plan_of({"exp": experiment(arms, control="control", buckets=40)}).experiments
    return found


# md5("abc") and md5("") as RFC 1321, A.5 gives them; md5("a:bc") by md5sum.
@pytest.mark.parametrize(
    ("unit", "salt", "buckets", "bucket"),
    [
        (b"abc", "", 2**128, 0x900150983CD24FB0D6963F7D28E17F72),
        (b"", "", 2**128, 0xD41D8CD98F00B204E9800998ECF8427E),
        (b"abc", "", 16, 0x2),
        (b"bc", "a", 2**128, 0x4F37E6BC70FF41B0AC32D78A07AE04B4),
    ],
)
def test_the_bucket_is_md5_as_one_integer_modulo_the_buckets(
    unit: bytes, salt: str, buckets: int, bucket: int
) -> None:
    assert bucket_of(unit, salt, buckets) == bucket


def test_the_key_is_the_salt_a_colon_and_the_unit() -> None:
    assert hashed_key(b"u1", "rank") == b"rank:u1"
    assert hashed_key(b"u1", "größe") == "größe:u1".encode()
    assert hashed_key(b"u1", "") == b"u1"


def test_lanes_come_in_document_order_with_control_last() -> None:
    assert [(lane.arm.id, lane.start, lane.end) for lane in lanes(uneven())] == [
        ("x", 0, 0),
        ("b", 0, 5),
        ("c", 5, 16),
        ("y", 16, 16),
        ("control", 16, 40),
    ]


@pytest.mark.parametrize(
    ("bucket", "arm"), [(0, "b"), (4, "b"), (5, "c"), (15, "c"), (16, "control"), (39, "control")]
)
def test_a_bucket_belongs_to_the_arm_whose_lane_it_is_in(bucket: int, arm: str) -> None:
    assert arm_of(uneven(), bucket).id == arm
