"""Header `meshtrial-force` -> the arms that a tester has asked for, as far as the key has signed them.

A member is `rank-v2=v2;e=1767225600;s=<signature>`: the experiment, its arm, until when (seconds since 1970),
and that the key allows it. `protos/CONTRACT.md`, "Forced arms", gives the format to the byte.
"""

import hmac
import re
from collections.abc import Sequence
from typing import Final

from meshtrial.plan.cursor import NAME
from meshtrial.pseudonym import PseudonymKey

MAX_MEMBERS: Final = 16
"""Members that are looked at; those after them are ignored."""
MAX_BYTES: Final = 4096
"""Bytes that are looked at, of all the request's headers of this name together."""

_DOMAIN: Final = b"\xffforce"
"""First part of what is signed: no UTF-8, so no unit's pseudonym is a signature."""
_NAME: Final = NAME.pattern.encode()
_MEMBER: Final = re.compile(
    rb"(%b)=(%b);e=([1-9][0-9]{0,11});s=([0-9a-f]{32})" % (_NAME, _NAME)  # none of the parts can hold a NUL
)


def sign_force(key: PseudonymKey, experiment: str, arm: str, expiry: int) -> str:
    """The header's value that forces an arm.

    Args:
        key: The deployment's key.
        experiment: The experiment's id.
        arm: The arm's id.
        expiry: First second since 1970 in which it is not valid any more, 1 to 999,999,999,999.
    """
    signature = _signature(key, experiment.encode(), arm.encode(), b"%d" % expiry)
    return f"{experiment}={arm};e={expiry};s={signature.decode()}"


def forced_arms(values: Sequence[bytes], key: PseudonymKey, now: int) -> dict[str, str]:
    """Experiment -> arm, of all members that the key has signed and that have not expired.

    Everything else is ignored: any bytes may come. Where an experiment is validly forced to two arms it is
    forced to none, since which one counts would be a guess. No id is looked up: the plan may know neither.

    Args:
        values: All values of the header, as received.
        key: The deployment's key.
        now: ns since 1970.
    """
    if not values:
        return {}
    forced: dict[str, str] = {}
    contradicted: set[str] = set()
    for member in b",".join(values)[:MAX_BYTES].split(b",", MAX_MEMBERS)[:MAX_MEMBERS]:
        found = _MEMBER.fullmatch(member.strip(b" \t"))
        if found is None:
            continue
        *parts, signature = found.groups()
        if now >= int(parts[2]) * 10**9 or not hmac.compare_digest(_signature(key, *parts), signature):
            continue
        experiment, arm = parts[0].decode(), parts[1].decode()
        if forced.setdefault(experiment, arm) != arm:
            contradicted.add(experiment)
    for experiment in contradicted:
        del forced[experiment]
    return forced


def _signature(key: PseudonymKey, experiment: bytes, arm: bytes, expiry: bytes) -> bytes:
    return key.digest(_DOMAIN, experiment, arm, expiry).hex()[:32].encode()
