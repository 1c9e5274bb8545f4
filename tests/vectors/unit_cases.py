"""Cases of units: how they hash, where they come from, groups and windows of time."""

from collections.abc import Iterator
from typing import Any

from vectors.case import Json, case, user

# Units and hashes -------------------------------------------------------------------------------------

UNITS = [
    "u1", "u2", "u3", "u42", "u1000", "0", "1", "42", "007", "alice", "Alice", "alice@example.com",
    "3f8a2b54-6a0e-4d0c-9d3b-1f5c2a7e9b10", "a:b", "exp_001:u1", ":", " ", " u1", "u1 ", "u%201",
    "u+1", "a,b", '"q"', "\u00fcn\u00efcode", "u\u0308nicode", "\u7528\u6237-42",
    "\u044e\u0437\u0435\u0440", "\U0001f44d", "\U0001f469\u200d\U0001f467", "\u202eabc", "\ufeffu1",
    "null", "-1", "1e3", "x" * 255,
]  # fmt: skip
SPLITS = [
    "control-in-the-middle", "nobody-and-everybody", "unicode-salt", "headers", "two-buckets", "many-buckets",
    "xxh64", "xxh64-bare-unit", "xxh64-many-buckets", "murmur2", "murmur2-bare-unit", "murmur2-many-buckets",
    "ramp", "ramp-zero",
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


def unit_cases() -> Iterator[Json]:
    for name in ("textbook", "bare-unit", "defaults"):
        for unit in UNITS:
            yield case(f"{name}: unit {unit[:40]!a}", name, [user(unit)])
    for name in SPLITS:
        for unit in UNITS[:16]:
            yield case(f"{name}: unit {unit!a}", name, [user(unit)])
    for length in (1, 2, 3, 4, 7, 8, 20, 31, 32, 33, 63, 64, 65):
        for name in ("xxh64-bare-unit", "murmur2-bare-unit"):
            yield case(f"{name}: {length} bytes", name, [user("z" * length)])
    for what, values in HARD_VALUES:
        yield case(f"unit: {what}", "headers", [("x-user-id", value) for value in values])
    for number in range(12):
        request_id = b"%08d-0000-4000-8000-000000000000" % number
        yield case(f"request {number}", "request", [("x-request-id", request_id)])


# Units from elsewhere ---------------------------------------------------------------------------------

COOKIES: list[tuple[str, list[bytes]]] = [
    ("one", [b"sid=s1"]),
    ("among others", [b"a=1; sid=s1; b=2"]),
    ("without blanks", [b"a=1;sid=s1;b=2"]),
    ("padded", [b" a = 1 ;\t sid =\ts1 ;"]),
    ("quoted: the quotes belong to it", [b'sid="s1"']),
    ("with equals signs", [b"sid=s=1="]),
    ("empty", [b"sid="]),
    ("without an equals sign", [b"sid; a=1"]),
    ("twice, equal", [b"sid=s1; sid=s1"]),
    ("twice, different", [b"sid=s1; sid=s2"]),
    ("in two headers, equal", [b"sid=s1", b"sid=s1"]),
    ("in two headers, different", [b"sid=s1", b"sid=s2"]),
    ("in the second header", [b"a=1", b"sid=s1"]),
    ("in another case", [b"SID=s1"]),
    ("as another one's value", [b"a=sid=s1"]),
    ("percent-encoded: nothing is decoded", [b"sid=%73%31"]),
    ("not UTF-8", [b"sid=\xff"]),
    ("too long", [b"sid=" + b"x" * 1025]),
    ("none", [b""]),
]
QUERIES = [
    "/?user=u1", "/a/b?x=1&user=u1&y=2", "/?user=u1&user=u1", "/?user=u1&user=u2", "/?user=", "/?user",
    "/?user=a+b", "/?user=a%20b", "/?user=a%2Bb", "/?user=%C3%BC", "/?user=%FF", "/?user=%", "/?user=%4",
    "/?user=%zz", "/?%75ser=u1", "/?User=u1", "/?user=u1#user=u2", "/#?user=u1", "/?a?user=u1", "/??user=u1",
    "/?user=a?b", "/?user=a=b", "/?&&user=u1&", "/?user=u1;user=u2", "/user=u1", "/?", "/?user=" + "x" * 1025,
    "/?user=\u00c3\u00bc", "/?user=%00", "/?user=a%26b",
]  # fmt: skip
JWT = "envoy.filters.http.jwt_authn"
CLAIMS: list[tuple[str, Any]] = [
    ("text", {JWT: {"payload": {"sub": "u1"}}}),
    ("text of another script", {JWT: {"payload": {"sub": "\u7528\u6237"}}}),
    ("empty", {JWT: {"payload": {"sub": ""}}}),
    ("a number", {JWT: {"payload": {"sub": 42}}}),
    ("a truth value", {JWT: {"payload": {"sub": False}}}),
    ("a list", {JWT: {"payload": {"sub": ["u1"]}}}),
    ("a mapping", {JWT: {"payload": {"sub": {"id": "u1"}}}}),
    ("null", {JWT: {"payload": {"sub": None}}}),
    ("absent", {JWT: {"payload": {"aud": "u1"}}}),
    ("a text on the way", {JWT: {"payload": "u1"}}),
    ("another namespace", {"envoy.filters.http.lua": {"payload": {"sub": "u1"}}}),
    ("too long", {JWT: {"payload": {"sub": "x" * 1025}}}),
    ("no metadata", {}),
]
CHANCE = "000102030405060708090a0b0c0d0e0f"


def source_cases() -> Iterator[Json]:
    for what, values in COOKIES:
        yield case(f"cookie: {what}", "cookie", [("cookie", value) for value in values])
        yield case(
            f"minted cookie: {what}",
            "minted",
            [("Cookie", v.replace(b"sid", b"mt")) for v in values],
            chance=CHANCE,
        )
    yield case("cookie: no header", "cookie", [])
    for chance in (CHANCE, "ff" * 16, "00" * 16, "5a" * 32):
        yield case(f"minted by chance {chance[:8]}", "minted", [("cookie", b"mt2=there")], chance=chance)
    for path in QUERIES:
        yield case(f"query {path[:40]!a}", "query", [], path=path)
    for name in ("gr%C3%B6%C3%9Fe", "gr\u00c3\u00b6\u00c3\u009fe", "gr%F6%DFe", "GR%C3%B6%C3%9FE"):
        yield case(f"query's name {name!a}", "query-of-a-name-that-is-encoded", [], path=f"/?{name}=1")
    for what, metadata in CLAIMS:
        yield case(f"claim: {what}", "claim", [], metadata=metadata)


def group_cases() -> Iterator[Json]:
    for shop in (b"s1", b"s2", b"s3", "\u00fc".encode(), b"", b"\xff", b"x" * 1025, None):
        for member in ("u1", "u2", None):
            headers = [("x-shop", shop)] if shop is not None else []
            who = [user(member)] if member else []
            yield case(f"group {str(shop)[:12]} member {member}", "group", [*headers, *who])
            yield case(
                f"percentage of group {str(shop)[:12]} member {member}",
                "percentage-of-groups",
                [*headers, *who],
            )
    for what, metadata in CLAIMS[:4]:
        yield case(
            f"group of a claim: {what}", "group-of-claims", [("x-request-id", b"r1")], metadata=metadata
        )


DAY = 1_767_225_600_000
"""2026-01-01T00:00:00Z in milliseconds."""
MINUTE = 60_000
TIMES = [
    0, 599_999, 600_000, 899_999, 900_000, DAY, DAY + 10 * MINUTE - 1, DAY + 10 * MINUTE,
    DAY + 15 * MINUTE - 1, DAY + 15 * MINUTE, DAY + 40 * MINUTE, DAY + 70 * MINUTE + 999, DAY + 1000 * MINUTE,
]  # fmt: skip


def time_cases() -> Iterator[Json]:
    for now in TIMES:
        for city in (b"paris", b"rome"):
            yield case(f"switchback of {city!r} at {now}", "switchback", [("x-city", city)], now_ms=now)
    for number in range(8):
        at = DAY + number * 1500
        yield case(f"switchback by query at {at}", "switchback-by-query", [], path="/?city=oslo", now_ms=at)
    yield case("switchback without a key", "switchback", [], now_ms=DAY)
    for city in (b"paris", b"rome", b"oslo"):
        for now in (DAY + 20 * MINUTE, DAY + 50 * MINUTE):
            yield case(
                f"percentage of the key {city!r} at {now}",
                "percentage-of-switchbacks",
                [("x-city", city)],
                now_ms=now,
            )


def cases() -> Iterator[Json]:
    """All of them."""
    for part in (unit_cases, source_cases, group_cases, time_cases):
        yield from part()
