import hashlib

import pytest

from meshtrial.assign.decide import decide
from meshtrial.assign.explain import explain
from meshtrial.assign.request import Request
from plan_values import experiment, plan_of

PLAN = plan_of({"rank-v2": experiment(salt="größe")})
(RANK,) = PLAN.experiments


@pytest.mark.parametrize("unit", ["u1", "u2", "юзер"])
def test_an_explanation_walks_the_way_that_a_request_goes(unit: str) -> None:
    walk = explain(PLAN, RANK, unit.encode())
    (assignment,) = decide(Request("/", "", {"x-user-id": (unit.encode(),)}), PLAN)
    whole = hashlib.md5(f"größe:{unit}".encode()).hexdigest()

    assert walk.key == f"größe:{unit}".encode()
    assert walk.md5 == whole
    assert walk.bucket == int(whole, 16) % 10_000 == assignment.bucket
    assert walk.arm == assignment.arm
    assert dict(walk.mutation.set)["x-meshtrial-arms"] == f"rank-v2={walk.arm.id}"


def test_the_reason_names_the_bucket_and_its_owner() -> None:
    walk = explain(PLAN, RANK, b"u1")

    assert walk.why() == (
        "the MD5 of the key, as one integer, leaves 3 when divided by 10,000; "
        "the buckets 0 to 4,999 belong to v2"
    )
