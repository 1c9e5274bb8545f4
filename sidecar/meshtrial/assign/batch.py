"""Many units -> their arms, at once: what `decide` says of each, for lists of units.

Hashes are taken unit by unit, by C code; everything after them is an array.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import xxhash

from meshtrial.assign.audience import in_audience, in_cohort
from meshtrial.assign.request import Request
from meshtrial.assign.unit import NoUnit, put_claim, unusable
from meshtrial.names import Reason
from meshtrial.plan.audience import sources_of
from meshtrial.plan.model import Bucketing, Experiment, Hash, Mode
from meshtrial.plan.traffic import Audience, Carrier, Cohort, Source

Values = Mapping[Source, Sequence[bytes | None]]
"""Of each source that is known the values of all units, None where a unit has none."""

NO_BUCKET: Final = -1
_Int64 = npt.NDArray[np.int64]
_REASONS: Final = tuple(Reason)
_CODES: Final = {reason: code for code, reason in enumerate(_REASONS)}
_M: Final = np.uint32(0x5BD1E995)


@dataclass(frozen=True, slots=True)
class Batch:
    """What an experiment says of many units; arrays of shape (units,)."""

    experiment: Experiment
    arm: _Int64
    """Position among the experiment's arms, `NO_BUCKET` where the audience does not hold."""
    reason: _Int64
    """Position among `names.Reason`, `NO_BUCKET` where the audience does not hold."""
    bucket: _Int64
    """`NO_BUCKET` where it decided nothing."""
    layer_bucket: _Int64
    """`NO_BUCKET` where there is no layer, or it was not asked."""


def unknown(experiment: Experiment, known: Mapping[Source, object]) -> tuple[set[Source], set[Source]]:
    """What conditions ask for and is not known: of the audience, and of cohorts with weights of their own."""
    known = {**known, experiment.unit.source: None}
    of_cohorts = {s for split in experiment.splits if split.cohort for s in sources_of(split.cohort.audience)}
    return sources_of(experiment.audience) - set(known), of_cohorts - set(known)


def assign_batch(experiment: Experiment, units: Sequence[bytes | None], known: Values) -> Batch:
    """The arm of each unit, taken that its request matches, and that nothing was signed or kept before.

    A condition of the audience that asks for a source which is not in `known` is taken to hold; a cohort
    whose conditions do is taken not to.

    Args:
        experiment: Not a switchback, whose arms are of times.
        units: What is hashed, the group of a group, as requests carry it; None where there is none.
        known: Further values of the same units. A group's member counts only where it is among them.
    """
    count = len(units)
    known = {**known, experiment.unit.source: units}
    control = experiment.arms.index(experiment.control)
    audience = tuple(c for c in experiment.audience if sources_of((c,)) <= set(known))
    cohorts = [
        s.cohort for s in experiment.splits if s.cohort and sources_of(s.cohort.audience) <= set(known)
    ]
    takes_part = _audience(experiment.id, audience, units, known)
    arm = np.full(count, control, np.int64)
    bucket = np.full(count, NO_BUCKET, np.int64)
    layer_bucket = np.full(count, NO_BUCKET, np.int64)
    if experiment.mode is not Mode.RUNNING:
        reason = np.full(count, _CODES[Reason.DISABLED], np.int64)
    else:
        reason = np.full(count, _CODES[Reason.DEFAULT], np.int64)
        usable = takes_part & _usable(units)
        member = experiment.unit.member
        if member is not None and member in known:
            usable &= _usable(known[member])
        at = np.flatnonzero(usable)
        if experiment.layer is not None:
            layer = experiment.layer
            found = buckets_of(_picked(units, at), layer.bucketing)
            layer_bucket[at] = found
            start, end = experiment.slice
            reason[at] = np.where(found < layer.holdout, _CODES[Reason.HOLDOUT], _CODES[Reason.OUTSIDE])
            at = at[(found >= max(start, layer.holdout)) & (found < end)]
        found = buckets_of(_picked(units, at), experiment.bucketing)
        bucket[at], reason[at] = found, _CODES[Reason.SPLIT]
        arm[at] = _arms(experiment, found, _cohorts(cohorts, at, units, known))
    for values in (arm, reason, bucket, layer_bucket):
        values[~takes_part] = NO_BUCKET
    return Batch(experiment, arm, reason, bucket, layer_bucket)


def _picked(units: Sequence[bytes | None], at: _Int64) -> list[bytes]:
    return [units[position] or b"" for position in at.tolist()]


def _usable(values: Sequence[bytes | None]) -> npt.NDArray[np.bool_]:
    return np.array([value is not None and unusable(value) is None for value in values], bool)


def _audience(
    owner: str, audience: Audience, units: Sequence[bytes | None], known: Values
) -> npt.NDArray[np.bool_]:
    if not audience:
        return np.ones(len(units), bool)
    return np.array(
        [in_audience(_request(known, i), audience, owner, _who(unit)) for i, unit in enumerate(units)], bool
    )


def _cohorts(
    cohorts: Sequence[Cohort], at: _Int64, units: Sequence[bytes | None], known: Values
) -> list[str]:
    """The cohort of each unit whose weights count, "" for the default ones; empty where there are none."""
    if not cohorts:
        return []
    return [_cohort(cohorts, _request(known, i), _who(units[i])) for i in at.tolist()]


def _cohort(cohorts: Sequence[Cohort], request: Request, who: bytes | NoUnit) -> str:
    return next((cohort.id for cohort in cohorts if in_cohort(request, cohort, who)), "")


def _who(unit: bytes | None) -> bytes | NoUnit:
    return NoUnit.MISSING if unit is None else unusable(unit) or unit


def _request(known: Values, position: int) -> Request:
    """A request that carries what is known of one unit."""
    values = {source: values[position] for source, values in known.items()}
    headers: dict[str, list[bytes]] = {}
    metadata: dict[str, dict[str, object]] = {}
    request = Request("/", "", headers, metadata)
    cookies: dict[str, list[bytes]] = {}
    query: dict[str, list[bytes]] = {}
    # As if they had been read from the request, whatever characters a value has.
    request.__dict__.update(cookies=cookies, query=query)
    for source, value in values.items():
        if value is None:
            continue
        match source.carrier:
            case Carrier.HEADER:
                headers[source.name] = [value]
            case Carrier.COOKIE:
                cookies[source.name] = [value]
            case Carrier.QUERY:
                query[source.name] = [value]
            case Carrier.METADATA:
                put_claim(metadata, source, value)
    return request


def _arms(experiment: Experiment, buckets: _Int64, cohorts: Sequence[str]) -> _Int64:
    """Positions of the arms of buckets, each by the weights of its cohort."""
    arms = np.empty(len(buckets), np.int64)
    named = np.array(cohorts) if cohorts else None
    for split in experiment.splits:
        chosen = np.full(len(buckets), split.cohort is None)
        if named is not None:
            chosen = named == (split.cohort.id if split.cohort else "")
        edges, owners = [0], [experiment.arms.index(experiment.control)]
        for lane in split.lanes:
            # A lane without buckets has equal edges: the last of equal ones owns what comes after.
            edges += [lane.start, lane.live]
            owners += [experiment.arms.index(lane.arm), owners[0]]
        at = np.searchsorted(np.array(edges), buckets[chosen], side="right") - 1
        arms[chosen] = np.array(owners)[at]
    return arms


def buckets_of(units: Sequence[bytes], bucketing: Bucketing) -> _Int64:
    """The bucket of each unit, as `assign.bucket.bucket_of` has it; shape (units,)."""
    if not units:
        return np.empty(0, np.int64)
    prefix = f"{bucketing.salt}:".encode() if bucketing.salt else b""
    keys = [prefix + unit for unit in units] if prefix else units
    buckets = np.uint64(bucketing.buckets)
    match bucketing.hash:
        case Hash.MD5:
            digests = b"".join([hashlib.md5(key, usedforsecurity=False).digest() for key in keys])
            halves = np.frombuffer(digests, ">u8").astype(np.uint64).reshape(-1, 2) % buckets
            # 128 bits modulo n from two halves: all products are below 2^62, as n is at most 2^31.
            high = np.uint64(2**64 % bucketing.buckets)
            found = (halves[:, 0] * high + halves[:, 1]) % buckets
        case Hash.XXH64:
            found = np.array([xxhash.xxh64_intdigest(key) for key in keys], np.uint64) % buckets
        case Hash.MURMUR2:
            hashes = _murmur2(keys).astype(np.uint64)
            found = ((hashes + np.uint64(1)) * buckets - np.uint64(1)) // np.uint64(0xFFFFFFFF)
            found = np.minimum(found, buckets - np.uint64(1))
    return found.astype(np.int64)


def _murmur2(keys: Sequence[bytes]) -> npt.NDArray[np.uint32]:
    """`assign.murmur2` of many keys: those of one length together."""
    by_length: dict[int, list[int]] = {}
    for position, key in enumerate(keys):
        by_length.setdefault(len(key), []).append(position)
    hashes = np.empty(len(keys), np.uint32)
    for length, positions in by_length.items():
        # An array, as numpy wraps their products without a word; h ^ rest of the key as in `murmur2`.
        h = np.full(len(positions), length, np.uint32)
        padded = -(-length // 4) * 4
        text = b"".join([keys[position].ljust(padded, b"\0") for position in positions])
        words = np.frombuffer(text, "<u4").astype(np.uint32).reshape(len(positions), padded // 4)
        for column in range(length // 4):
            k = words[:, column] * _M
            h = h * _M ^ (k ^ k >> np.uint32(24)) * _M
        if length % 4:
            h = (h ^ words[:, -1]) * _M
        h = (h ^ h >> np.uint32(13)) * _M
        hashes[positions] = h ^ h >> np.uint32(15)
    return hashes
