"""Unit -> bucket -> arm."""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from meshtrial.plan.model import Arm, Experiment


class Lane(NamedTuple):
    """The consecutive buckets of one arm: `start` up to, without, `end`."""

    arm: Arm
    start: int
    end: int


def hashed_key(unit: bytes, salt: str) -> bytes:
    """What is hashed: `salt:unit`, or the bare unit where the salt is empty."""
    return salt.encode() + b":" + unit if salt else unit


def md5_of(key: bytes) -> bytes:
    """The 16 bytes of MD5 (RFC 1321): it spreads units, it protects nothing."""
    return hashlib.md5(key, usedforsecurity=False).digest()


def bucket_of(unit: bytes, salt: str, buckets: int) -> int:
    """The unit's bucket, in 0..buckets-1: MD5 read as one 128-bit big-endian integer, modulo `buckets`.

    The modulo's bias is at most buckets / 2^128: none that any number of units could show.
    """
    return int.from_bytes(md5_of(hashed_key(unit, salt)), "big") % buckets


def lanes(experiment: Experiment) -> Iterator[Lane]:
    """Which buckets belong to whom, from bucket 0 on.

    The arms other than control come first, in document order, each as wide as its weight; the rest
    is control's.
    """
    end = 0
    for arm in experiment.treatments():
        yield Lane(arm, end, end := end + arm.width)
    yield Lane(experiment.control, end, experiment.buckets)


def arm_of(experiment: Experiment, bucket: int) -> Arm:
    """The arm that owns a bucket in 0..buckets-1."""
    return next(lane.arm for lane in lanes(experiment) if bucket < lane.end)
