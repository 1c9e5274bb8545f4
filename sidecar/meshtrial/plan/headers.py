"""Header names and values: which ones a plan may use, and for what."""

import re

from meshtrial.names import BAGGAGE, FORCE, HEADER_PREFIX, REQUEST_ID, TRACEPARENT
from meshtrial.plan.cursor import Cursor
from meshtrial.plan.problems import Rule, shown

FRAMING = frozenset(
    ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "host",
     "content-length", "expect"]
)  # fmt: skip
"""RFC 9110 7.6.1 and the headers that frame a message: a proxy drops or rewrites them."""

_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,128}")  # RFC 9110 5.6.2 token, lower case
_VALUE = re.compile(r"[!-~](?:[ -~]{0,1022}[!-~])?")  # RFC 9110 5.5, visible ASCII
_TRACE = frozenset([REQUEST_ID, TRACEPARENT, "tracestate", BAGGAGE, FORCE])


def header_name(cursor: Cursor, text: str | None) -> str | None:
    """The name in lower case; None, with the problem noted at the cursor, where text is none."""
    if text is None:
        return None
    name = text.lower()
    if _NAME.fullmatch(name):
        return name
    message = f"{shown(text)} is no header name (RFC 9110: 1 to 128 letters, digits and !#$%&'*+.^_`|~-)"
    cursor.fail(Rule.HEADER_NAME, message)
    return None


def read_arm_headers(cursor: Cursor, carriers: frozenset[str]) -> tuple[tuple[str, str], ...]:
    """The headers that an arm sets on a request, lower-case names, sorted; problems are noted."""
    headers: dict[str, str] = {}
    for key, entry in cursor.entries().items():
        name, value = header_name(entry, key), entry.text()
        if name is not None:
            _check_name(entry, name, carriers)
            if name in headers:
                entry.fail(Rule.KEY_TWICE, f"the header `{name}` stands twice")
        if value is not None and not _VALUE.fullmatch(value):
            entry.fail(Rule.HEADER_VALUE, "a header's value is 1 to 1,024 visible ASCII characters")
        if name is not None:
            headers[name] = value or ""
    return tuple(sorted(headers.items()))


def _check_name(cursor: Cursor, name: str, carriers: frozenset[str]) -> None:
    if name in FRAMING or name in _TRACE or name.startswith((HEADER_PREFIX, "x-envoy-")):
        message = f"an arm may not set `{name}`: it frames, routes, traces or identifies the request"
        cursor.fail(Rule.HEADER_NAME, message)
    if name in carriers:
        message = f"`{name}` carries the unit, so no arm may set it"
        cursor.fail(Rule.UNIT_SET, message)
