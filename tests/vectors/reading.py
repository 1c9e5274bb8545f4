"""What a plan can ask of a request, written out again: shares no code with the package.

A request is the JSON of a case: `path`, `route`, `headers` as pairs, `metadata`.
"""

import base64
import re
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from vectors.hashes import bucket_of

Json = dict[str, Any]
Read = tuple[bytes | None, str | None]
"""A value, or why there is none."""

MISSING: Read = (None, "missing")
SOURCES = ("header", "cookie", "query", "metadata")


def header(request: Json, name: str) -> list[bytes]:
    return [raw(value) for other, value in request["headers"] if other.lower() == name.lower()]


def raw(value: str | Json) -> bytes:
    return value.encode() if isinstance(value, str) else base64.b64decode(value["base64"])


def cookie(request: Json, name: str) -> list[bytes]:
    pairs = [pair for line in header(request, "cookie") for pair in line.split(b";") if b"=" in pair]
    split = [pair.split(b"=", 1) for pair in pairs]
    return [value.strip(b" \t") for key, value in split if key.strip(b" \t") == name.encode()]


def query(request: Json, name: str) -> list[bytes]:
    text = re.sub("#.*", "", request["path"], flags=re.DOTALL)
    pairs = [pair for pair in text[text.find("?") + 1 :].split("&") if pair] if "?" in text else []
    found = [(form(pair.split("=", 1)[0]), form(pair.partition("=")[2])) for pair in pairs]
    return [value for key, value in found if key.decode("utf-8", "replace") == name]


def form(text: str) -> bytes:
    plain = text.replace("+", " ").encode("latin-1")
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), plain)


def value_at(request: Json, source: Json) -> Read:
    """The one value at `{header: ...}`, `{cookie: ...}`, `{query: ...}`, `{metadata: ...}`."""
    if "metadata" in source:
        place: Any = request["metadata"].get(source["metadata"]["namespace"])
        for key in source["metadata"]["path"]:
            place = place.get(key) if isinstance(place, dict) else None
        if place is None:
            return MISSING
        return (place.encode(), None) if isinstance(place, str) else (None, "not_text")
    if "header" in source:
        values = header(request, source["header"])
    elif "cookie" in source:
        values = cookie(request, source["cookie"])
    else:
        values = query(request, source["query"])
    if not values:
        return MISSING
    return (values[0], None) if len(set(values)) == 1 else (None, "ambiguous")


def unit_at(request: Json, source: Json) -> Read:
    """A value that can be a unit."""
    value, why_not = value_at(request, {"header": "x-request-id"} if "request" in source else source)
    if value is None:
        return None, why_not
    if value == b"":
        return None, "empty"
    if len(value) > 1024:
        return None, "too_long"
    return (None, "not_utf8") if text_of(value) is None else (value, None)


def text_of(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def matches(request: Json, match: Json) -> bool:
    path, authority = (
        re.split("[?#]", request["path"], maxsplit=1)[0],
        b"".join(header(request, ":authority")),
    )
    host = re.sub(r":[0-9]*\Z", "", authority.decode("latin-1").lower())
    return (
        match.get("route", request["route"]) == request["route"]
        and path.startswith(match.get("path_prefix", ""))
        and ("host" not in match or match["host"].lower() == host)
        and ("method" not in match or match["method"].encode() == b"".join(header(request, ":method")))
        and all(set(header(request, name)) == {v.encode()} for name, v in match.get("headers", {}).items())
    )


def share(text: str) -> Fraction:
    return Fraction(text.rstrip("% ")) / 100


def holds(request: Json, audience: list[Json], owner: str, who: bytes | None, cohorts: Json) -> bool:
    """Whether all conditions hold; percentages are of `who`, salted by their owner."""
    return all(condition_holds(request, condition, owner, who, cohorts) for condition in audience)


def condition_holds(request: Json, condition: Json, owner: str, who: bytes | None, cohorts: Json) -> bool:
    if "any" in condition:
        return any(condition_holds(request, inner, owner, who, cohorts) for inner in condition["any"])
    if "cohort" in condition:
        name = condition["cohort"]
        return holds(request, cohorts[name], f"cohort:{name}", who, cohorts)
    if "percentage" in condition:
        live = share(condition["percentage"]) * 10_000
        return who is not None and bucket_of("md5", f"{owner}/percentage", who, 10_000) < live
    (operator,) = condition.keys() - set(SOURCES)
    value, why_not = value_at(request, condition)
    operand = condition[operator]
    if operator == "exists":
        return bool(operand is (why_not != "missing"))
    if value is None:
        return operator == "not_in" and why_not == "missing"
    text = text_of(value)
    return text is not None and passes(text, operator, operand)


def passes(text: str, operator: str, operand: Any) -> bool:
    match operator:
        case "in" | "not_in":
            return (text in operand) == (operator == "in")
        case "prefix":
            return text.startswith(operand)
        case "regex":
            return re.fullmatch(operand, text) is not None
        case "semver":
            return all(version_passes(text, part) for part in operand.split())
    number, bound = decimal(text), Decimal(str(operand))
    return number is not None and (number < bound if operator == "less_than" else number > bound)


def decimal(text: str) -> Decimal | None:
    if len(text) > 64 or re.fullmatch(r"[-+0-9.]*", text, re.ASCII) is None:
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


# https://semver.org/#is-there-a-suggested-regular-expression-regex-to-check-a-semver-string, in parts
WHOLE = r"(?:0|[1-9][0-9]*)"
PART = rf"(?:{WHOLE}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
VERSION = re.compile(
    rf"({WHOLE})\.({WHOLE})\.({WHOLE})(?:-({PART}(?:\.{PART})*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)


def version_passes(text: str, comparison: str) -> bool:
    found = re.fullmatch(r"(>=|<=|==|!=|>|<|)(.*)", comparison)
    assert found
    ours = precedence(text) if len(text) <= 64 else None
    theirs = precedence(found[2])
    if ours is None or theirs is None:
        return False
    order = (ours > theirs) - (ours < theirs)
    return order in {">=": (0, 1), "<=": (-1, 0), "!=": (-1, 1), ">": (1,), "<": (-1,)}.get(found[1], (0,))


def precedence(text: str) -> tuple[Any, ...] | None:
    """What versions are ordered by (https://semver.org, 11): without a pre-release comes after with one."""
    found = VERSION.fullmatch(text)
    if found is None:
        return None
    numbers = tuple(int(found[group]) for group in (1, 2, 3))
    parts = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in (found[4] or "").split(".")]
    return numbers, found[4] is None, tuple(parts)
