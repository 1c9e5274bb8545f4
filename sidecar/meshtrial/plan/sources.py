"""Where a value stands in a request: `{header: h}`, `{cookie: c}`, `{query: q}`, `{metadata: {...}}`."""

import re

from meshtrial.names import FORCE, HEADER_PREFIX, REQUEST_ID
from meshtrial.plan.cursor import Cursor, Fields
from meshtrial.plan.headers import FRAMING, header_name
from meshtrial.plan.problems import Rule, shown
from meshtrial.plan.traffic import Carrier, Source

CARRIERS = tuple(carrier.value for carrier in Carrier)

_COOKIE = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
"""RFC 6265 4.1.1: a token, with case."""
_PARAMETER = re.compile(r"[^\x00-\x20\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]{1,128}")
_NAMESPACE = re.compile(r"[!-~]{1,128}")
_CLAIM = re.compile(r"[!-\-/-~]{1,128}")
"""Without a dot, which joins the keys in the unit's kind."""
MAX_PATH = 8


def read_source(fields: Fields) -> Source | None:
    """The source that one key of a mapping names; the mapping has one of `CARRIERS`."""
    carrier = next(carrier for carrier in Carrier if carrier.value in fields)
    place = fields[carrier.value]
    if carrier is Carrier.METADATA:
        return _metadata(place)
    text = place.text()
    if text is None:
        return None
    if carrier is Carrier.HEADER:
        name = read_header(place)
        return Source(carrier, name) if name else None
    if carrier is Carrier.COOKIE:
        pattern, rule, form = _COOKIE, Rule.COOKIE_NAME, "a cookie's name is a token (RFC 6265)"
    else:
        pattern, rule, form = (
            _PARAMETER,
            Rule.QUERY_NAME,
            "a parameter is 1 to 128 characters, no blank",
        )
    if pattern.fullmatch(text):
        return Source(carrier, text)
    place.fail(rule, f"{form}: {shown(text)} is not")
    return None


def read_header(cursor: Cursor) -> str | None:
    """A header that a client may send and the proxy passes on, in lower case."""
    name = header_name(cursor, cursor.text())
    if name is not None and (name in FRAMING or name == FORCE or name.startswith(HEADER_PREFIX)):
        cursor.fail(Rule.HEADER_NAME, f"`{name}` cannot be read here: the proxy drops or rewrites it")
        return None
    if name == REQUEST_ID:
        message = f"`{REQUEST_ID}` is another one on each request: a unit of requests is {{request: true}}"
        cursor.fail(Rule.UNIT_KIND, message)
        return None
    return name


def _metadata(cursor: Cursor) -> Source | None:
    fields = cursor.fields(("namespace", "path"))
    namespace = fields.read("namespace", lambda c: _matching(c, _NAMESPACE))
    path = fields.read("path", _path)
    if namespace is None or not path or not fields.sound:
        return None
    return Source(Carrier.METADATA, namespace, path)


def _path(cursor: Cursor) -> tuple[str, ...] | None:
    keys = [_matching(item, _CLAIM) for item in cursor.items()]
    if len(keys) > MAX_PATH:
        cursor.fail(Rule.METADATA_PATH, f"a path has at most {MAX_PATH} keys")
        return None
    return tuple(key for key in keys if key is not None) if None not in keys else None


def _matching(cursor: Cursor, pattern: re.Pattern[str]) -> str | None:
    text = cursor.text()
    if text is None or pattern.fullmatch(text):
        return text
    dotless = " without a dot" if pattern is _CLAIM else ""
    message = f"must be 1 to 128 visible ASCII characters{dotless}: {shown(text)} is not"
    cursor.fail(Rule.METADATA_PATH, message)
    return None
