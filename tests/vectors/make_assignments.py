"""Writes assignments.json: what every plane must answer, by arithmetic of its own.

Shares no code with the package, on purpose: the rules of README.md are written out again here, so that
a mistake in one of the two shows. The document goes to standard output.
"""

import base64
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

SPEC_VERSION = "1.0.0"
Json = dict[str, Any]
Headers = list[tuple[str, bytes]]


def md5_bucket(salt: str, unit: bytes, buckets: int) -> int:
    key = (salt + ":").encode() + unit if salt else unit
    return int(hashlib.md5(key).hexdigest(), 16) % buckets


# The plans ------------------------------------------------------------------------------------------

DECISION = {
    "method": "fixed",
    "alpha": 0.05,
    "power": 0.8,
    "planned_units": 8876,
    "minimum_duration": "14d",
    "primary": [{"metric": "conversion", "direction": "up", "minimum_effect": "2pp"}],
}
METRICS = {"conversion": {"kind": "proportion", "outcome": "purchase", "window": "7d"}}


def plan(experiments: Json) -> Json:
    return {"apiVersion": "meshtrial/v1", "metrics": METRICS, "experiments": experiments}


def experiment(weights: dict[str, float], **keys: Any) -> Json:
    """The last arm is control; arm `a` is served by cluster `model-a`."""
    arms: Json = {arm: {"weight": weight, "cluster": f"model-{arm}"} for arm, weight in weights.items()}
    made = {"unit": {"header": "x-user-id"}, "control": [*arms][-1], "arms": arms, "decision": DECISION}
    return {**made, **keys}


def with_headers() -> Json:
    made = experiment({"b": 30, "c": 30, "a": 40})
    made["arms"]["b"]["headers"] = {"X-Model-Version": "2", "x-model-family": "trees"}
    made["arms"]["c"]["headers"] = {"x-model-version": "3"}
    return made


PLANS: Json = {
    "textbook": plan({"exp_001": experiment({"b": 50, "a": 50}, buckets=100)}),
    "bare-unit": plan({"exp_001": experiment({"b": 20, "a": 80}, buckets=100, salt="")}),
    "defaults": plan({"rank-v2": experiment({"b": 50, "a": 50})}),
    "control-in-the-middle": plan(
        {"uneven": experiment({"c": 12.5, "a": 62.5, "b": 25}, control="a", buckets=1000)}
    ),
    "nobody-and-everybody": plan({"switch": experiment({"off": 0, "on": 100, "a": 0})}),
    "request": plan({"prompt": experiment({"b": 33.33, "c": 33.33, "a": 33.34}, unit={"request": True})}),
    "route": plan({"recommend": experiment({"b": 50, "a": 50}, match={"route": "recommend"})}),
    "path": plan({"recommend": experiment({"b": 50, "a": 50}, match={"path_prefix": "/recommend"})}),
    "path-and-route": plan(
        {"both": experiment({"b": 50, "a": 50}, match={"path_prefix": "/v1/", "route": "models"})}
    ),
    "two-experiments": plan(
        {
            "search": experiment({"b": 10, "a": 90}, match={"path_prefix": "/search"}),
            "rank.v2": experiment(
                {"b": 50, "a": 50}, match={"path_prefix": "/rank"}, unit={"header": "x-session"}
            ),
        }
    ),
    "unicode-salt": plan({"rank": experiment({"b": 50, "a": 50}, salt="gr\u00f6\u00dfe 2026 \U0001f44d")}),
    "headers": plan({"rank": with_headers()}),
    "two-buckets": plan({"coin": experiment({"b": 50, "a": 50}, buckets=2)}),
    "many-buckets": plan({"fine": experiment({"b": 25, "a": 75}, buckets=2**31)}),
}


# The answer -----------------------------------------------------------------------------------------


def expected(document: Json, path: str, route: str, headers: Headers) -> list[Json]:
    taken = [
        (experiment_id, found)
        for experiment_id, found in sorted(document["experiments"].items())
        if takes_part(found.get("match", {}), path, route)
    ]
    return [assignment(document, experiment_id, found, headers) for experiment_id, found in taken]


def takes_part(match: Json, path: str, route: str) -> bool:
    before_query = re.split("[?#]", path, maxsplit=1)[0]
    return match.get("route", route) == route and before_query.startswith(match.get("path_prefix", ""))


def assignment(document: Json, experiment_id: str, found: Json, headers: Headers) -> Json:
    header = "x-request-id" if "request" in found["unit"] else found["unit"]["header"]
    unit, why_not = read_unit([value for name, value in headers if name.lower() == header.lower()])
    control, arms, bucket = found["control"], found["arms"], None
    chosen = control
    if unit is not None:
        buckets = found.get("buckets", 10_000)
        bucket = md5_bucket(found.get("salt", experiment_id), unit, buckets)
        end = Fraction(0)
        for arm in (arm for arm in arms if arm != control):
            start, end = end, end + Fraction(str(arms[arm]["weight"])) * buckets / 100
            if start <= bucket < end:
                chosen = arm
    set_ = {name.lower(): value for name, value in arms[chosen].get("headers", {}).items()}
    set_ |= {"x-meshtrial-cluster": arms[chosen]["cluster"], "x-meshtrial-arms": f"{experiment_id}={chosen}"}
    owned = {
        name.lower()
        for other in document["experiments"].values()
        for arm in other["arms"].values()
        for name in arm.get("headers", {})
    }
    return {
        "experiment": experiment_id,
        "arm": chosen,
        "reason": "default" if unit is None else "split",
        "exposed": unit is not None,
        "unit": None if unit is None else unit.decode(),
        "no_unit": why_not,
        "bucket": bucket,
        "set": dict(sorted(set_.items())),
        "remove": sorted(owned - set_.keys()),
    }


def read_unit(values: list[bytes]) -> tuple[bytes | None, str | None]:
    if not values:
        return None, "missing"
    if len(set(values)) > 1:
        return None, "ambiguous"
    (value,) = set(values)
    if value == b"":
        return None, "empty"
    if len(value) > 1024:
        return None, "too_long"
    try:
        value.decode()
    except UnicodeDecodeError:
        return None, "not_utf8"
    return value, None


# The requests ---------------------------------------------------------------------------------------

UNITS = [
    "u1", "u2", "u3", "u42", "u1000", "0", "1", "42", "007", "alice", "Alice", "alice@example.com",
    "3f8a2b54-6a0e-4d0c-9d3b-1f5c2a7e9b10", "a:b", "exp_001:u1", ":", " ", " u1", "u1 ", "u%201",
    "u+1", "a,b", '"q"', "\u00fcn\u00efcode", "u\u0308nicode", "\u7528\u6237-42",
    "\u044e\u0437\u0435\u0440", "\U0001f44d", "\U0001f469\u200d\U0001f467", "\u202eabc", "\ufeffu1",
    "null", "-1", "1e3", "x" * 255,
]  # fmt: skip

SPLITS = [
    "control-in-the-middle", "nobody-and-everybody", "unicode-salt", "headers", "two-buckets", "many-buckets",
]  # fmt: skip
HARD_VALUES: list[tuple[str, list[bytes]]] = [
    ("no header", []),
    ("an empty value", [b""]),
    ("twice, equal", [b"u1", b"u1"]),
    ("three times, equal", [b"u1", b"u1", b"u1"]),
    ("twice, different", [b"u1", b"u2"]),
    ("three times, the last different", [b"u1", b"u1", b"u2"]),
    ("twice, one empty", [b"u1", b""]),
    ("twice, both empty", [b"", b""]),
    ("1,024 bytes", [b"x" * 1024]),
    ("1,025 bytes", [b"x" * 1025]),
    ("1,024 bytes of 2-byte characters", ["é".encode() * 512]),
    ("513 characters of 2 bytes", ["é".encode() * 513]),
    ("1,025 bytes twice, different", [b"x" * 1025, b"y" * 1025]),
    ("not UTF-8", [b"\xff\xfe"]),
    ("Latin-1", ["ünïcode".encode("latin-1")]),
    ("half a character at the end", ["u用".encode()[:-1]]),
    ("a surrogate, encoded", [b"\xed\xa0\x80"]),
    ("an overlong slash", [b"\xc0\xaf"]),
    ("1,025 bytes that are not UTF-8", [b"\xff" * 1025]),
    ("a NUL byte", [b"u\x00"]),
]

PATHS = [
    "/recommend", "/recommend/", "/recommend/1", "/recommend?user=1", "/recommended", "/recommend#part",
    "/recommend;v=1", "/recommen", "/Recommend", "/RECOMMEND", "/x/recommend", "//recommend", "/", "", "*",
    "/?path=/recommend", "/%72ecommend", "/recommend%2F", "recommend", " /recommend", "/./recommend",
]  # fmt: skip
ROUTES = ["recommend", "Recommend", "recommend ", "recommended", "", "other"]
PATHS_AND_ROUTES = [
    ("/v1/a", "models"),
    ("/v1", "models"),
    ("/v1/a", "other"),
    ("/v2/", "models"),
    ("/v1/", ""),
]

USER = [("x-user-id", b"u1")]
FORGED = [("x-meshtrial-cluster", b"model-a"), ("x-meshtrial-arms", b"rank=a"), ("X-Model-Version", b"9")]
HEADERS: list[tuple[str, str, Headers]] = [
    ("a header's name in upper case", "defaults", [("X-USER-ID", b"u1")]),
    ("a header's name in two cases, equal", "defaults", [("X-User-Id", b"u1"), *USER]),
    ("a header's name in two cases, different", "defaults", [("X-User-Id", b"u2"), *USER]),
    ("another header between", "defaults", [*USER, ("accept", b"*/*"), *USER]),
    ("headers that a client forged", "headers", [*FORGED, *USER]),
    ("headers that a client forged, without a unit", "headers", [*FORGED, ("x-model-family", b"ours")]),
    ("request without an id", "request", USER),
]


def case(name: str, plan_name: str, headers: Headers, path: str = "/", route: str = "") -> Json:
    decision = expected(PLANS[plan_name], path, route, headers)
    request = {"path": path, "route": route, "headers": [[name, portable(value)] for name, value in headers]}
    return {"name": name, "plan": plan_name, "request": request, "decision": decision}


def unit_cases() -> Iterator[Json]:
    for name in ("textbook", "bare-unit", "defaults"):
        for unit in UNITS:
            yield case(f"{name}: unit {unit[:40]!a}", name, [("x-user-id", unit.encode())])
    for name in SPLITS:
        for unit in UNITS[:20]:
            yield case(f"{name}: unit {unit!a}", name, [("x-user-id", unit.encode())])
    for what, values in HARD_VALUES:
        yield case(f"unit: {what}", "headers", [("x-user-id", value) for value in values])
    for number in range(12):
        request_id = b"%08d-0000-4000-8000-000000000000" % number
        yield case(f"request {number}", "request", [("x-request-id", request_id)])


def match_cases() -> Iterator[Json]:
    for path in PATHS:
        yield case(f"path {path!r}", "path", USER, path=path)
    for route in ROUTES:
        yield case(f"route {route!r}", "route", USER, route=route)
    for path, route in PATHS_AND_ROUTES:
        yield case(f"path {path!r} on route {route!r}", "path-and-route", USER, path=path, route=route)
    for path in ("/search", "/search?q=/rank", "/rank", "/rank/search", "/other"):
        both = [*USER, ("x-session", b"s1")]
        yield case(f"two experiments: path {path!r}", "two-experiments", both, path=path)
    yield case("two experiments: the other one's unit", "two-experiments", USER, path="/rank")


def header_cases() -> Iterator[Json]:
    for name, plan_name, headers in HEADERS:
        yield case(name, plan_name, headers)


def portable(value: bytes) -> str | Json:
    """Text where it is UTF-8, else base64."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def document() -> str:
    """The whole file: one plan or case on a line."""
    cases = [*unit_cases(), *match_cases(), *header_cases()]
    plans = ",\n".join(f"{json.dumps(name)}: {json.dumps(plan)}" for name, plan in PLANS.items())
    lines = ",\n".join(map(json.dumps, cases))
    return f'{{"specVersion": "{SPEC_VERSION}",\n"plans": {{\n{plans}\n}},\n"cases": [\n{lines}\n]}}\n'


if __name__ == "__main__":
    sys.stdout.write(document())
