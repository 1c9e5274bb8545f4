"""Unit -> bucket -> arm."""

import hashlib

import xxhash

from meshtrial.assign.murmur2 import murmur2
from meshtrial.plan.model import Arm, Bucketing, Experiment, Hash, Split


def hashed_key(unit: bytes, salt: str) -> bytes:
    """What is hashed: `salt:unit`, or the bare unit where the salt is empty."""
    return salt.encode() + b":" + unit if salt else unit


def hash_of(key: bytes, hash_: Hash) -> int:
    """The key's hash as an integer: 128 bits of MD5 (RFC 1321) read big-endian, 64 of xxh64, 32 of murmur2.

    Seeds are 0. The hashes spread units, they protect nothing.
    """
    match hash_:
        case Hash.MD5:
            return int.from_bytes(hashlib.md5(key, usedforsecurity=False).digest(), "big")
        case Hash.XXH64:
            return xxhash.xxh64_intdigest(key)
        case Hash.MURMUR2:
            return murmur2(key)


def bucket_of(unit: bytes, bucketing: Bucketing) -> int:
    """The unit's bucket, in 0..buckets-1.

    MD5 and xxh64: the hash modulo `buckets`; the bias is at most buckets / 2^64, none that any number of
    units could show. murmur2: by ranges, as nginx's `split_clients` cuts 0..2^32-1
    (https://nginx.org/en/docs/http/ngx_http_split_clients_module.html): bucket k begins at the whole part
    of k * (2^32 - 1) / buckets.
    """
    hash_ = hash_of(hashed_key(unit, bucketing.salt), bucketing.hash)
    if bucketing.hash is Hash.MURMUR2:
        return min(((hash_ + 1) * bucketing.buckets - 1) // 0xFFFFFFFF, bucketing.buckets - 1)
    return hash_ % bucketing.buckets


def arm_of(experiment: Experiment, split: Split, bucket: int) -> Arm:
    """The arm of a bucket: of the lane that it is live in, else control."""
    for lane in split.lanes:
        if lane.start <= bucket < lane.live:
            return lane.arm
    return experiment.control
