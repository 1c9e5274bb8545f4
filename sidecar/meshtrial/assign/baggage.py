"""W3C baggage <-> the arms that an earlier hop has chosen, each signed (https://www.w3.org/TR/baggage/).

Behind a first model a second sidecar keeps to these arms, so that a pipeline of models stays on one. Baggage
comes from anyone, also from a client past a dead sidecar: what counts is the signature, never the peer.
`protos/CONTRACT.md`, "Baggage", gives the format to the byte.
"""

import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from meshtrial.names import BAGGAGE_PREFIX
from meshtrial.plan.cursor import NAME
from meshtrial.pseudonym import PseudonymKey

MAX_MEMBERS: Final = 64
"""List members that every platform must pass on (W3C baggage, "Limits"): what is after them is not read."""
MAX_BYTES: Final = 8192
"""Bytes that every platform must pass on, commas included (W3C baggage, "Limits")."""

_DOMAIN: Final = b"\xffbaggage"
"""First part of what is signed: no UTF-8, so no unit's pseudonym is a signature."""
_PREFIX: Final = BAGGAGE_PREFIX.encode()
_OWS: Final = b" \t"
_NAME: Final = NAME.pattern.encode()
_MEMBER: Final = re.compile(
    rb"%b(%b)=(%b);u=([0-9a-f]{32});k=([^\0]+);p=([0-9a-f]{16});e=([1-9][0-9]{0,11});s=([0-9a-f]{32})"
    % (re.escape(_PREFIX), _NAME, _NAME)
)
"""A member after percent-decoding. No part can hold a NUL, which stands between the parts that are signed."""


@dataclass(frozen=True, slots=True)
class Carried:
    """One experiment's arm, on its way to the next hop."""

    arm: str
    unit: str
    """Pseudonym of the unit that it was chosen for, 32 hex digits."""
    kind: str
    """The unit's kind: `header:x-user-id`."""
    phase: str
    """Digest of the allocation that chose it, 16 hex digits."""
    expiry: int
    """First second since 1970 in which it is not valid any more, 1 to 999,999,999,999."""


def carried_arms(values: Sequence[bytes], key: PseudonymKey, now: int) -> dict[str, Carried]:
    """Experiment -> what an earlier hop has chosen, of all members signed by the key and not expired.

    Everything else is ignored: any bytes may come. Where two valid members of one experiment differ, neither
    counts, since either would be a guess. Members are percent-decoded as a whole before they are read: where
    a model passes baggage on by OpenTelemetry for Python, the `;` and `=` of properties come encoded.

    Args:
        values: All values of the header `baggage`, as received.
        key: The deployment's key.
        now: ns since 1970.
    """
    if not values:
        return {}
    carried: dict[str, Carried] = {}
    contradicted: set[str] = set()
    for member in _elements(values):
        bare = member.strip(_OWS)
        found = _MEMBER.fullmatch(unquote_to_bytes(bare)) if bare.startswith(_PREFIX) else None
        if found is None:
            continue
        *parts, signature = found.groups()
        if now >= int(parts[5]) * 10**9 or not hmac.compare_digest(_signature(key, parts), signature):
            continue
        try:
            experiment, arm, unit, kind, phase, expiry = (part.decode() for part in parts)
        except UnicodeDecodeError:
            continue
        one = Carried(arm, unit, kind, phase, int(expiry))
        if carried.setdefault(experiment, one) != one:
            contradicted.add(experiment)
    for experiment in contradicted:
        del carried[experiment]
    return carried


def merged_baggage(
    values: Sequence[bytes], members: Sequence[tuple[str, Carried]], key: PseudonymKey
) -> bytes:
    """The one `baggage` value for the next hop: the client's own members, then ours, signed.

    The client's members keep their order and bytes, malformed ones too, except those whose key begins with
    `meshtrial.` in any case, padded or percent-encoded: they are removed. Where all would break the W3C's
    limits, the client's members are left out from the first one on that does not fit beside ours.

    Args:
        values: All values of the header as received; they all give way to this one.
        members: Experiment and its arm, one for each experiment.
        key: The deployment's key.

    Returns:
        At most 64 members and 8,192 bytes; empty where there is nothing to say: the header is to be removed.
    """
    ours = _fitting((_member(experiment, one, key) for experiment, one in members), MAX_MEMBERS, MAX_BYTES)
    clients = (element for element in _elements(values) if element.strip(_OWS) and not _reserved(element))
    room = MAX_BYTES - sum(len(member) + 1 for member in ours)
    kept = _fitting(clients, MAX_MEMBERS - len(ours), room)
    return b",".join([*kept, *ours]).strip(_OWS)


def _elements(values: Sequence[bytes]) -> list[bytes]:
    """What stands between the commas, whole and within the limits, empty elements counted: bounded work."""
    text = b",".join(values)
    if len(text) > MAX_BYTES:
        text = text[: max(text.rfind(b",", 0, MAX_BYTES + 1), 0)]
    return text.split(b",", MAX_MEMBERS)[:MAX_MEMBERS]


def _fitting(members: Iterable[bytes], count: int, size: int) -> list[bytes]:
    """The first members, up to `count` of them and `size` bytes with the commas between them."""
    kept: list[bytes] = []
    for member in members:
        size -= len(member) + (1 if kept else 0)
        if len(kept) == count or size < 0:
            break
        kept.append(member)
    return kept


def _reserved(element: bytes) -> bool:
    name, _, _ = element.partition(b"=")
    return unquote_to_bytes(name).strip().lower().startswith(_PREFIX)


def _member(experiment: str, one: Carried, key: PseudonymKey) -> bytes:
    parts = [part.encode() for part in (experiment, one.arm, one.unit, one.kind, one.phase, str(one.expiry))]
    kind = quote(one.kind, safe=":").encode()
    return b"%b%b=%b;u=%b;k=%b;p=%b;e=%b;s=%b" % (
        _PREFIX, *parts[:3], kind, *parts[4:], _signature(key, parts),
    )  # fmt: skip


def _signature(key: PseudonymKey, parts: Sequence[bytes]) -> bytes:
    return key.digest(_DOMAIN, *parts).hex()[:32].encode()
