"""One entry of `experiments`: who takes part, how they are split, where they go."""

import hashlib
import json
import re
from collections.abc import Mapping
from enum import StrEnum

from meshtrial.names import HEADER_PREFIX, REQUEST_ID
from meshtrial.plan.arms import read_arms
from meshtrial.plan.cursor import Cursor, check_name
from meshtrial.plan.decision import read_decision
from meshtrial.plan.headers import FRAMING, header_name
from meshtrial.plan.model import Arm, Experiment, Match, Metric, Unit
from meshtrial.plan.problems import Rule, shown
from meshtrial.plan.rules import Claim

DEFAULT_BUCKETS = 10_000
"""Weights to a hundredth of a percent."""
MAX_BUCKETS = 2**31
"""Far below 2^53, so that every plane's arithmetic is exact."""

REQUIRED = ("unit", "control", "arms", "decision")
OPTIONAL = ("match", "hash", "buckets", "salt")
LATER = (
    "layer", "slice", "audience", "strata", "ramp", "sticky", "rollout", "exposures", "paused", "killed",
    "outcomes", "neighbours", "switchback",
)  # fmt: skip
UNITS = ("header", "request")
LATER_UNITS = ("cookie", "query", "metadata", "group", "switchback", "mint", "members")
CONDITIONS = ("route", "path_prefix")
LATER_CONDITIONS = ("host", "headers", "method")
LATER_HASHES = ("xxh64", "murmur2")

_PATH_PREFIX = re.compile(r"/[!-\"$->@-~]{0,1023}")  # visible ASCII without # and ?


class _Hash(StrEnum):
    MD5 = "md5"


def read_experiment(
    key: str, cursor: Cursor, metrics: Mapping[str, Metric | None]
) -> tuple[Experiment | None, Claim]:
    """Read one experiment; None, with the problems noted, where it is not valid, and its claim anyway."""
    fields = cursor.fields(REQUIRED, OPTIONAL, LATER)
    named = check_name(key, cursor)
    match = fields.read("match", _match) if "match" in fields else Match(None, None)
    unit = fields.read("unit", _unit)
    hash_ = fields.read("hash", lambda c: c.choice(_Hash, LATER_HASHES)) if "hash" in fields else _Hash.MD5
    buckets = fields.read("buckets", _buckets) if "buckets" in fields else DEFAULT_BUCKETS
    salt = fields.read("salt", Cursor.line_of_text) if "salt" in fields else key
    decision = fields.read("decision", lambda c: read_decision(c, metrics))
    unit_header = unit.header if unit else None
    read = fields.read("arms", lambda c: read_arms(c, buckets, unit_header)) or {}
    control = fields.read("control", lambda c: _control(c, read))
    arms = tuple(arm for arm in read.values() if arm is not None)
    claim = Claim(key, cursor, match, unit_header, salt, frozenset(n for arm in arms for n, _ in arm.headers))
    if not named or match is None or unit is None or hash_ is None or buckets is None or salt is None:
        return None, claim
    if decision is None or control is None or len(arms) != len(read):
        return None, claim
    phase = _phase(unit, buckets, salt, arms, control)
    return Experiment(key, match, unit, buckets, salt, arms, control, decision, phase), claim


def _match(cursor: Cursor) -> Match | None:
    fields = cursor.fields([], CONDITIONS, LATER_CONDITIONS)
    if not fields.present:
        if fields.sound:
            message = "a match without a condition: name `route` or `path_prefix`, or leave `match` out"
            cursor.fail(Rule.EMPTY, message)
        return None
    match = Match(fields.read("route", _route), fields.read("path_prefix", _path_prefix))
    unread = any(getattr(match, key) is None for key in fields.present)
    return None if unread or not fields.sound else match


def _route(cursor: Cursor) -> str | None:
    text = cursor.line_of_text()
    if text == "":
        cursor.fail(Rule.EMPTY, "a route's name is not empty")
        return None
    return text


def _path_prefix(cursor: Cursor) -> str | None:
    text = cursor.text()
    if text is None or _PATH_PREFIX.fullmatch(text):
        return text
    message = (
        f"must begin with / and be at most 1,024 visible ASCII characters, no ? or #: {shown(text)} is not"
    )
    cursor.fail(Rule.PATH_PREFIX, message)
    return None


def _unit(cursor: Cursor) -> Unit | None:
    fields = cursor.fields([], UNITS, LATER_UNITS)
    if len(fields.present) != 1:
        if fields.sound:
            cursor.fail(Rule.UNIT_KIND, "a unit is one of {header: <name>} or {request: true}")
        return None
    if "request" in fields:
        return Unit("request", REQUEST_ID) if fields["request"].true(Rule.UNIT_KIND) else None
    place = fields["header"]
    name = header_name(place, place.text())
    if name == REQUEST_ID:
        place.fail(Rule.UNIT_KIND, "a split by request is written {request: true}")
    elif name is not None and (name in FRAMING or name.startswith(HEADER_PREFIX)):
        place.fail(Rule.HEADER_NAME, f"`{name}` cannot carry a unit: the proxy drops or rewrites it")
    return Unit(f"header:{name}", name) if name else None


def _buckets(cursor: Cursor) -> int | None:
    return cursor.integer(2, MAX_BUCKETS)


def _control(cursor: Cursor, arms: Mapping[str, Arm | None]) -> Arm | None:
    control_id = cursor.name()
    if control_id is not None and arms and control_id not in arms:
        cursor.fail(Rule.CONTROL_UNDEFINED, f"no arm `{control_id}` stands under `arms`")
    return arms.get(control_id) if control_id is not None else None


def _phase(unit: Unit, buckets: int, salt: str, arms: tuple[Arm, ...], control: Arm) -> str:
    """Digest of everything that moves a unit between arms: equal allocations are one phase."""
    lanes = [[arm.id, arm.width] for arm in arms if arm is not control]
    allocation = json.dumps([unit.kind, "md5", buckets, salt, control.id, lanes], ensure_ascii=False)
    return hashlib.sha256(allocation.encode()).hexdigest()[:16]
