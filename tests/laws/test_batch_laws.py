"""A list of units gets the arms that its requests would get one by one."""

import base64
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshtrial.assign.batch import NO_BUCKET, Batch, assign_batch, buckets_of
from meshtrial.assign.bucket import bucket_of
from meshtrial.assign.context import EMPTY
from meshtrial.assign.decide import Assignment, assign
from meshtrial.assign.request import Request
from meshtrial.assign.unit import NoUnit, value_of
from meshtrial.names import Reason
from meshtrial.plan.audience import sources_of
from meshtrial.plan.load import load
from meshtrial.plan.model import Bucketing, Experiment, Hash, Plan
from meshtrial.plan.traffic import Carrier, Source
from plan_documents import plans

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/assignments.json").read_text("utf-8"))
SLOW = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@SLOW
@given(
    st.lists(st.binary(max_size=40), max_size=30),
    st.sampled_from(Hash),
    st.sampled_from(["", "rank", "Δ"]),
    st.integers(2, 2**20) | st.sampled_from([2, 100, 2**20]),
)
def test_buckets_of_many_are_the_buckets_of_each(
    units: list[bytes], hash_: Hash, salt: str, buckets: int
) -> None:
    bucketing = Bucketing(hash_, salt, buckets)

    assert buckets_of(units, bucketing).tolist() == [bucket_of(unit, bucketing) for unit in units]


@pytest.mark.parametrize("hash_", [Hash.MD5, Hash.XXH64])
def test_the_most_buckets_are_exact(hash_: Hash) -> None:
    bucketing = Bucketing(hash_, "s", 2**31)
    units = [str(number).encode() for number in range(2000)]

    assert buckets_of(units, bucketing).tolist() == [bucket_of(unit, bucketing) for unit in units]


def rows(batch: Batch) -> Iterator[tuple[str, Reason, int | None, int | None] | None]:
    """Arm, reason, bucket and bucket of the layer of each unit; None for one that takes no part."""
    for arm, reason, bucket, layer in zip(
        *(values.tolist() for values in (batch.arm, batch.reason, batch.bucket, batch.layer_bucket)),
        strict=True,
    ):
        if arm == NO_BUCKET:
            assert reason == bucket == layer == NO_BUCKET
            yield None
        else:
            buckets = (None if value == NO_BUCKET else value for value in (bucket, layer))
            yield batch.experiment.arms[arm].id, tuple(Reason)[reason], *buckets


def told(assignment: Assignment | None) -> tuple[str, Reason, int | None, int | None] | None:
    if assignment is None:
        return None
    layer, hashed = assignment.experiment.layer, assignment.subject.hashed
    asked = layer is not None and assignment.reason in {Reason.SPLIT, Reason.HOLDOUT, Reason.OUTSIDE}
    bucket = (
        bucket_of(hashed, layer.bucketing) if asked and layer and not isinstance(hashed, NoUnit) else None
    )
    return assignment.arm.id, assignment.reason, assignment.bucket, bucket


def sources(experiment: Experiment) -> set[Source]:
    found = {experiment.unit.source} | sources_of(experiment.audience)
    found |= {experiment.unit.member} if experiment.unit.member else set()
    return found.union(*(sources_of(s.cohort.audience) for s in experiment.splits if s.cohort))


def request(values: dict[Source, bytes | None]) -> Request:
    headers: dict[str, list[bytes]] = {}
    metadata: dict[str, dict[str, Any]] = {}
    path = "/?"
    for source, value in values.items():
        if value is None:
            continue
        if source.carrier is Carrier.HEADER:
            headers[source.name] = [value]
        elif source.carrier is Carrier.COOKIE:
            headers.setdefault("cookie", []).append(source.name.encode() + b"=" + value)
        elif source.carrier is Carrier.QUERY:
            path += f"{quote(source.name, safe='')}={quote(value, safe='')}&"
        else:
            place = metadata.setdefault(source.name, {})
            for key in source.path[:-1]:
                place = place.setdefault(key, {})
            place[source.path[-1]] = value.decode()
    return Request(path, "", headers, metadata)


def overlap(found: set[Source]) -> bool:
    """Whether a claim would stand within another one, or a header be the cookies."""
    claims = [(s.name, s.path) for s in found if s.carrier is Carrier.METADATA]
    within = any(a != b and a[0] == b[0] and b[1][: len(a[1])] == a[1] for a in claims for b in claims)
    return within or any(s.carrier is Carrier.HEADER and s.name == "cookie" for s in found)


@settings(SLOW, max_examples=50)
@given(plans(max_experiments=2), st.data())
def test_a_list_of_units_gets_what_their_requests_get(plan: Plan, data: st.DataObject) -> None:
    words = st.text(
        st.characters(codec="ascii", exclude_characters=';\x00 \t\r\n"\\'), min_size=1, max_size=8
    )
    text = st.sampled_from(["IN", "US", "1.2.0", "5", "-1", "a"]) | words | st.sampled_from(["x" * 1025])
    for experiment in plan.experiments:
        if experiment.unit.switchback is not None or overlap(sources(experiment)):
            continue
        value = text.map(str.encode)
        maybe = value if experiment.unit.mint is not None else st.none() | value
        asked = sorted(sources(experiment), key=str)
        lists = [
            data.draw(
                st.fixed_dictionaries(
                    {s: maybe if s == experiment.unit.source else st.none() | value for s in asked}
                )
            )
            for _ in range(5)
        ]
        units = [values[experiment.unit.source] for values in lists]
        batch = assign_batch(experiment, units, {s: [values[s] for values in lists] for s in asked})

        assert list(rows(batch)) == [told(assign(request(v), experiment, plan, EMPTY)) for v in lists]


@cache
def plan_named(name: str) -> Plan:
    return load(json.dumps(VECTORS["plans"][name], ensure_ascii=False), name)


def test_it_agrees_with_the_vectors_wherever_a_list_can_say_what_the_request_says() -> None:
    compared = 0
    for case in VECTORS["cases"]:
        if case["context"]:
            continue
        plan, sent = plan_named(case["plan"]), case["request"]
        headers: dict[str, list[bytes]] = {}
        for name, value in sent["headers"]:
            raw = value.encode() if isinstance(value, str) else base64.b64decode(value["base64"])
            headers.setdefault(name.lower(), []).append(raw)
        asked = Request(sent["path"], sent["route"], headers, sent["metadata"])
        for entry in case["decision"]:
            experiment = plan.experiment(entry["experiment"])
            assert experiment is not None
            values = {s: value_of(asked, s) for s in sources(experiment)}
            unclear = any(isinstance(v, NoUnit) and v is not NoUnit.MISSING for v in values.values())
            if experiment.unit.switchback or entry["minted"] or unclear:
                continue
            known = {s: [None if isinstance(v, NoUnit) else v] for s, v in values.items()}
            [row] = rows(assign_batch(experiment, known[experiment.unit.source], known))
            assert row is not None
            assert (row[0], row[1].value, row[2]) == (entry["arm"], entry["reason"], entry["bucket"]), case[
                "name"
            ]
            compared += 1
    assert compared >= 400
