"""One entry of `experiments`: who takes part, how they are split, where they go."""

import hashlib
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from meshtrial.names import HEADER_PREFIX, REQUEST_ID, TRACEPARENT
from meshtrial.plan.cursor import Cursor, check_name
from meshtrial.plan.decision import read_decision
from meshtrial.plan.model import Arm, Experiment, Match, Metric, Unit
from meshtrial.plan.problems import Rule

DEFAULT_BUCKETS = 10_000
"""Weights to a hundredth of a percent."""
MAX_BUCKETS = 2**31
"""Far below 2^53, so that every plane's arithmetic is exact."""

_LATER = (
    "layer", "slice", "audience", "strata", "ramp", "sticky", "rollout", "exposures", "paused", "killed",
    "outcomes", "neighbours", "switchback",
)  # fmt: skip
_LATER_UNITS = ("cookie", "query", "metadata", "group", "switchback", "mint", "members")
_LATER_MATCH = ("host", "headers", "method")
_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,128}")  # RFC 9110 5.6.2 token, lower case
_HEADER_VALUE = re.compile(r"[!-~](?:[ -~]{0,1022}[!-~])?")  # RFC 9110 5.5, visible ASCII
_PATH_PREFIX = re.compile(r"/[!-\"$->@-~]{0,1023}")  # visible ASCII without # and ?
_CLUSTER = re.compile(r"[!-~]{1,255}")
_HOP_BY_HOP = frozenset(
    ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "host",
     "content-length", "expect"]
)  # fmt: skip
"""RFC 9110 7.6.1 and the headers that frame a message: never a routing header."""


class _Hash(StrEnum):
    MD5 = "md5"


def read_experiment(key: str, cursor: Cursor, metrics: Mapping[str, Metric | None]) -> Experiment | None:
    """Read one experiment; None, with the problems noted, where it is not valid."""
    fields = cursor.fields(
        ["unit", "control", "arms", "decision"], ["match", "hash", "buckets", "salt"], _LATER
    )
    named = check_name(key, cursor)
    match = fields.read("match", _match) if "match" in fields else Match(None, None)
    unit = fields.read("unit", _unit)
    fields.read("hash", lambda c: c.choice(_Hash, later=("xxh64", "murmur2")))
    buckets = (
        fields.read("buckets", lambda c: c.integer(2, MAX_BUCKETS))
        if "buckets" in fields
        else DEFAULT_BUCKETS
    )
    salt = fields.read("salt", Cursor.text) if "salt" in fields else key
    decision = fields.read("decision", lambda c: read_decision(c, metrics))
    arms = fields.read("arms", lambda c: _arms(c, buckets, unit))
    control = fields.read("control", lambda c: _control(c, arms))
    if not named or match is None or unit is None or buckets is None or salt is None:
        return None
    if decision is None or arms is None or control is None:
        return None
    phase = _phase(unit, buckets, salt, arms, control)
    return Experiment(key, match, unit, buckets, salt, arms, control, decision, phase)


def _match(cursor: Cursor) -> Match | None:
    fields = cursor.fields([], ["route", "path_prefix"], _LATER_MATCH)
    if not fields.present:
        cursor.fail(
            Rule.EMPTY, "a match without a condition: name `route` or `path_prefix`, or leave `match` out"
        )
        return None
    return Match(fields.read("route", _route), fields.read("path_prefix", _path_prefix))


def _route(cursor: Cursor) -> str | None:
    text = cursor.text()
    if text == "":
        cursor.fail(Rule.EMPTY, "a route's name is not empty")
    return text


def _path_prefix(cursor: Cursor) -> str | None:
    text = cursor.text()
    if text is not None and not _PATH_PREFIX.fullmatch(text):
        cursor.fail(
            Rule.PATH_PREFIX, f"must begin with / and hold visible ASCII without ? and #, not `{text}`"
        )
    return text


def _unit(cursor: Cursor) -> Unit | None:
    fields = cursor.fields([], ["header", "request"], _LATER_UNITS)
    if len(fields.present) != 1:
        cursor.fail(Rule.UNIT_KIND, "a unit is one of {header: <name>} or {request: true}")
        return None
    if "request" in fields:
        wanted = fields["request"].parsed(lambda text: text == "true" or None, Rule.UNIT_KIND, "`true`")
        return Unit("request", REQUEST_ID) if wanted else None
    name = _header_name(fields["header"], fields["header"].text())
    return Unit(f"header:{name}", name) if name else None


def _arms(cursor: Cursor, buckets: int | None, unit: Unit | None) -> tuple[Arm, ...] | None:
    entries = cursor.entries()
    if len(entries) == 1:
        cursor.fail(Rule.ARMS_COUNT, "at least two arms are needed, one of them control")
    read = [_arm(key, entry, buckets, unit) for key, entry in entries.items()]
    weights = [weight for weight, _ in read if weight is not None]
    if len(weights) == len(read) and weights and sum(map(Fraction, weights)) != 100:
        cursor.fail(Rule.WEIGHTS_SUM, f"the arms' weights must sum to 100, not {sum(weights)}")
    arms = tuple(arm for _, arm in read if arm is not None)
    return arms if len(arms) == len(read) else None


def _arm(
    key: str, cursor: Cursor, buckets: int | None, unit: Unit | None
) -> tuple[Decimal | None, Arm | None]:
    fields = cursor.fields(["weight", "cluster"], ["headers"])
    named = check_name(key, cursor)
    weight = fields.read("weight", _weight)
    width = _width(fields["weight"], weight, buckets) if weight is not None and buckets else None
    cluster = fields.read("cluster", _cluster)
    headers = fields.read("headers", lambda c: _arm_headers(c, unit)) if "headers" in fields else ()
    if not named or width is None or cluster is None or headers is None:
        return weight, None
    return weight, Arm(key, cluster, headers, width)


def _control(cursor: Cursor, arms: tuple[Arm, ...] | None) -> Arm | None:
    control_id = cursor.name()
    if control_id is None or arms is None:
        return None
    control = next((arm for arm in arms if arm.id == control_id), None)
    if control is None:
        cursor.fail(Rule.CONTROL_UNDEFINED, f"no arm `{control_id}` stands under `arms`")
    return control


def _weight(cursor: Cursor) -> Decimal | None:
    weight = cursor.number()
    if weight is not None and not 0 <= weight <= 100:
        cursor.fail(Rule.RANGE, f"a weight is a percentage from 0 to 100, not {weight}")
        return None
    return weight


def _width(cursor: Cursor, weight: Decimal, buckets: int) -> int | None:
    width = Fraction(weight) * buckets / 100
    if width.denominator == 1:
        return int(width)
    message = f"a weight must fall on a whole bucket: {weight}% of {buckets:,} is {weight * buckets / 100}"
    cursor.fail(Rule.WEIGHT_BUCKET, message)
    return None


def _cluster(cursor: Cursor) -> str | None:
    text = cursor.text()
    if text is None or _CLUSTER.fullmatch(text):
        return text
    cursor.fail(Rule.CLUSTER_NAME, "a cluster's name is 1 to 255 visible ASCII characters")
    return None


def _arm_headers(cursor: Cursor, unit: Unit | None) -> tuple[tuple[str, str], ...] | None:
    headers: dict[str, str] = {}
    for key, entry in cursor.entries().items():
        name, value = _header_name(entry, key), entry.text()
        if name is None or value is None:
            return None
        if name in headers:
            entry.fail(Rule.KEY_TWICE, f"the header `{name}` stands twice")
        if _reserved(name) or (unit is not None and name == unit.header):
            entry.fail(
                Rule.HEADER_NAME, f"an arm may not set `{name}`: it frames, routes or identifies the request"
            )
        if not _HEADER_VALUE.fullmatch(value):
            entry.fail(Rule.HEADER_VALUE, "a header's value is 1 to 1,024 visible ASCII characters")
        headers[name] = value
    return tuple(sorted(headers.items()))


def _reserved(name: str) -> bool:
    return (
        name in _HOP_BY_HOP
        or name in {REQUEST_ID, TRACEPARENT, "tracestate", "baggage", "meshtrial-force"}
        or name.startswith((HEADER_PREFIX, "x-envoy-"))
    )


def _header_name(cursor: Cursor, text: str | None) -> str | None:
    if text is None:
        return None
    name = text.lower()
    if _HEADER_NAME.fullmatch(name):
        return name
    cursor.fail(
        Rule.HEADER_NAME, f"`{text}` is no header name (RFC 9110: letters, digits and !#$%&'*+.^_`|~-)"
    )
    return None


def _phase(unit: Unit, buckets: int, salt: str, arms: tuple[Arm, ...], control: Arm) -> str:
    """Digest of everything that moves a unit between arms: equal allocations are one phase."""
    lanes = [[arm.id, arm.width] for arm in arms if arm is not control]
    allocation = json.dumps([unit.kind, "md5", buckets, salt, control.id, lanes], ensure_ascii=False)
    return hashlib.sha256(allocation.encode()).hexdigest()[:16]
