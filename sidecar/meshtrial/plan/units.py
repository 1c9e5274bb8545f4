"""A `unit`: what is randomised, and who is analysed."""

from meshtrial.plan.cursor import Cursor, Fields
from meshtrial.plan.problems import Rule
from meshtrial.plan.scalars import read_duration, read_duration_or_0
from meshtrial.plan.sources import CARRIERS, read_source
from meshtrial.plan.traffic import REQUEST, Carrier, Source, Switchback, Unit

MAX_MINT = 400 * 86_400
"""Seconds: browsers keep no cookie longer than 400 days (RFC 6265bis, section 5.5)."""

KEYS = (*CARRIERS, "request", "mint", "group", "members", "switchback")
_OWNERS = {"mint": "cookie", "members": "group"}
"""Keys that stand beside another one only."""
_FORMS = (
    "{header: <name>}, {cookie: <name>}, {query: <name>}, {metadata: {...}}, {request: true}, "
    "{group: {...}, members: {...}} or {switchback: {...}}"
)


def read_unit(cursor: Cursor) -> Unit | None:
    """Read a unit of any kind."""
    fields = cursor.fields([], KEYS)
    kinds = [key for key in fields.present if key not in _OWNERS]
    if len(kinds) != 1:
        if fields.sound:
            cursor.fail(Rule.UNIT_KIND, f"a unit is one of {_FORMS}")
        return None
    for key, owner in _OWNERS.items():
        if key in fields and kinds[0] != owner:
            fields[key].fail(Rule.UNIT_KIND, f"`{key}` belongs to a `{owner}`")
            return None
    match kinds[0]:
        case "request":
            return Unit(REQUEST) if fields["request"].true(Rule.UNIT_KIND) else None
        case "switchback":
            return _switchback(fields["switchback"])
        case "group":
            return _group(cursor, fields)
        case _:
            return _single(fields)


def _single(fields: Fields) -> Unit | None:
    source = read_source(fields)
    mint = fields.read("mint", _mint)
    return None if source is None or ("mint" in fields and mint is None) else Unit(source, mint=mint)


def _group(cursor: Cursor, fields: Fields) -> Unit | None:
    group = _coming_again(fields["group"])
    if "members" not in fields:
        cursor.fail(Rule.KEY_MISSING, "a group needs `members`: the unit that is analysed")
        return None
    member = _plain(fields["members"])
    if group is None or member is None:
        return None
    if group == member:
        fields["members"].fail(Rule.UNIT_KIND, "the members of a group are units of another kind")
        return None
    return Unit(group, member=member)


def _plain(cursor: Cursor) -> Source | None:
    """A unit that a value of the request is: no group or switchback within one."""
    fields = cursor.fields([], (*CARRIERS, "request"))
    if len(fields.present) != 1:
        if fields.sound:
            message = "expected one of {header: <name>}, {cookie: <name>}, {query: <name>}, {metadata: {...}}"
            cursor.fail(Rule.UNIT_KIND, message)
        return None
    if "request" in fields:
        return REQUEST if fields["request"].true(Rule.UNIT_KIND) else None
    return read_source(fields)


def _coming_again(cursor: Cursor) -> Source | None:
    """A unit of many requests, whose arm they share."""
    source = _plain(cursor)
    if source == REQUEST:
        cursor.fail(Rule.UNIT_KIND, "no two requests share an id: name what is the same in many of them")
        return None
    return source


def _mint(cursor: Cursor) -> int | None:
    fields = cursor.fields(("max_age",))
    seconds = fields.read("max_age", read_duration)
    if seconds is not None and seconds > MAX_MINT:
        fields["max_age"].fail(Rule.DURATION, "browsers keep no cookie for more than 400d")
        return None
    return seconds


def _switchback(cursor: Cursor) -> Unit | None:
    fields = cursor.fields(("key", "window"), ("offset", "washout", "carryover"))
    key = fields.read("key", _coming_again)
    window = fields.read("window", read_duration)
    offset, washout, carryover = (
        fields.read(name, read_duration_or_0) if name in fields else 0
        for name in ("offset", "washout", "carryover")
    )
    if key is None or window is None or offset is None or washout is None or carryover is None:
        return None
    for name, seconds in (("offset", offset), ("washout", washout)):
        if seconds >= window:
            fields[name].fail(Rule.DURATION, f"`{name}` must be shorter than the window")
            return None
    return Unit(key, switchback=Switchback(window, offset, washout, carryover))


def headers_of(source: Source | None) -> frozenset[str]:
    """The request header that carries a source, as a set that may be empty."""
    if source is None:
        return frozenset()
    if source.carrier is Carrier.HEADER:
        return frozenset([source.name])
    return frozenset(["cookie"]) if source.carrier is Carrier.COOKIE else frozenset()
