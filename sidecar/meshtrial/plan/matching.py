"""An experiment's `match`: which requests it sees at all."""

import re

from meshtrial.plan.cursor import Cursor
from meshtrial.plan.problems import Rule, shown
from meshtrial.plan.sources import read_header
from meshtrial.plan.traffic import Match

CONDITIONS = ("route", "host", "path_prefix", "method", "headers")

_PATH_PREFIX = re.compile(r"/[!-\"$->@-~]{0,1023}")  # visible ASCII without # and ?
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?|\[[0-9a-f:.]{2,45}\]")
_METHOD = re.compile(r"[A-Z]{1,32}")
_VALUE = re.compile(r"[!-~](?:[ -~]{0,254}[!-~])?")


def read_match(cursor: Cursor) -> Match | None:
    """Read a match with at least one condition."""
    fields = cursor.fields([], CONDITIONS)
    if not fields.present:
        if fields.sound:
            message = (
                f"a match without a condition: name one of {', '.join(CONDITIONS)}, or leave `match` out"
            )
            cursor.fail(Rule.EMPTY, message)
        return None
    route = fields.read("route", _route)
    host = fields.read("host", _host)
    prefix = fields.read("path_prefix", _path_prefix)
    method = fields.read("method", _method)
    headers = fields.read("headers", _headers)
    if None in [
        value
        for key, value in zip(CONDITIONS, (route, host, prefix, method, headers), strict=True)
        if key in fields
    ]:
        return None
    return Match(route, host, prefix, method, headers or ()) if fields.sound else None


def _route(cursor: Cursor) -> str | None:
    text = cursor.line_of_text()
    if text == "":
        cursor.fail(Rule.EMPTY, "a route's name is not empty")
        return None
    return text


def _host(cursor: Cursor) -> str | None:
    text = cursor.text()
    if text is None:
        return None
    host = text.lower()
    if _HOST.fullmatch(host):
        return host
    cursor.fail(Rule.HOST, f"expected a host's name without a port or wildcard, found {shown(text)}")
    return None


def _path_prefix(cursor: Cursor) -> str | None:
    text = cursor.text()
    if text is None or _PATH_PREFIX.fullmatch(text):
        return text
    message = (
        f"must begin with / and be at most 1,024 visible ASCII characters, no ? or #: {shown(text)} is not"
    )
    cursor.fail(Rule.PATH_PREFIX, message)
    return None


def _method(cursor: Cursor) -> str | None:
    text = cursor.text()
    if text is None or _METHOD.fullmatch(text):
        return text
    cursor.fail(Rule.METHOD, f"expected a method in capitals, such as GET, found {shown(text)}")
    return None


def _headers(cursor: Cursor) -> tuple[tuple[str, str], ...] | None:
    found: dict[str, str] = {}
    entries = cursor.entries()
    for key, entry in entries.items():
        name, value = read_header(entry.as_key(key)), entry.text()
        if value is not None and not _VALUE.fullmatch(value):
            entry.fail(Rule.HEADER_VALUE, "a header's value is 1 to 256 visible ASCII characters")
        elif name is not None and name in found:
            entry.fail(Rule.KEY_TWICE, f"the header `{name}` stands twice")
        elif name is not None and value is not None:
            found[name] = value
    return tuple(sorted(found.items())) if found and len(found) == len(entries) else None
