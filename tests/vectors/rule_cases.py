"""Cases of who takes part, of layers, and of arms that are forced, carried or kept."""

from collections.abc import Iterator
from itertools import product
from typing import Any

from vectors.case import Headers, Json, carried, case, user
from vectors.unit_cases import DAY, MINUTE

INDIA, SHOP, CITY = ("x-country", b"IN"), ("x-shop", b"s1"), ("x-city", b"paris")


# Match ------------------------------------------------------------------------------------------------

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
HOSTS = [
    b"shop.example.com", b"SHOP.example.COM", b"shop.example.com:8080", b"shop.example.com:",
    b"shop.example.com.", b"a.shop.example.com", b"shop.example.com:80a", b"", b"[::1]:80", None,
]  # fmt: skip
POST = (":method", b"POST")
WRITES: list[tuple[str, Headers]] = [
    ("as asked", [(":method", b"POST"), ("x-kind", b"json"), ("x-tier", b"gold plus")]),
    ("in another case", [(":method", b"post"), ("x-kind", b"json"), ("x-tier", b"gold plus")]),
    ("another method", [(":method", b"PUT"), ("x-kind", b"json"), ("x-tier", b"gold plus")]),
    ("no method", [("x-kind", b"json"), ("x-tier", b"gold plus")]),
    ("a header missing", [(":method", b"POST"), ("x-tier", b"gold plus")]),
    ("a header twice, equal", [POST, ("x-kind", b"json"), ("X-Kind", b"json"), ("x-tier", b"gold plus")]),
    ("a header twice, different", [POST, ("x-kind", b"json"), ("x-kind", b"x"), ("x-tier", b"gold plus")]),
    ("a value in another case", [(":method", b"POST"), ("x-kind", b"JSON"), ("x-tier", b"gold plus")]),
    ("a longer value", [(":method", b"POST"), ("x-kind", b"json,json"), ("x-tier", b"gold plus")]),
]  # fmt: skip
FORGED = [("x-meshtrial-cluster", b"model-a"), ("x-meshtrial-arms", b"rank=a"), ("X-Model-Version", b"9")]
HEADERS: list[tuple[str, str, Headers]] = [
    ("a header's name in upper case", "defaults", [("X-USER-ID", b"u1")]),
    ("a header's name in two cases, equal", "defaults", [("X-User-Id", b"u1"), user("u1")]),
    ("a header's name in two cases, different", "defaults", [("X-User-Id", b"u2"), user("u1")]),
    ("another header between", "defaults", [user("u1"), ("accept", b"*/*"), user("u1")]),
    ("headers that a client forged", "headers", [*FORGED, user("u1")]),
    ("headers that a client forged, without a unit", "headers", [*FORGED, ("x-model-family", b"ours")]),
    ("request without an id", "request", [user("u1")]),
]


def match_cases() -> Iterator[Json]:
    one = [user("u1")]
    for path in PATHS:
        yield case(f"path {path!r}", "path", one, path=path)
    for route in ROUTES:
        yield case(f"route {route!r}", "route", one, route=route)
    for path, route in PATHS_AND_ROUTES:
        yield case(f"path {path!r} on route {route!r}", "path-and-route", one, path=path, route=route)
    for host in HOSTS:
        yield case(f"host {host!r}", "host", [*one, *([(":authority", host)] if host is not None else [])])
    for what, headers in WRITES:
        yield case(f"method and headers: {what}", "method-and-headers", [*one, *headers])
    for path in ("/search", "/search?q=/rank", "/rank", "/rank/search", "/other"):
        yield case(
            f"two experiments: path {path!r}", "two-experiments", [*one, ("x-session", b"s1")], path=path
        )
    yield case("two experiments: the other one's unit", "two-experiments", one, path="/rank")
    for name, plan_name, headers in HEADERS:
        yield case(name, plan_name, headers)


# Audiences --------------------------------------------------------------------------------------------

COUNTRIES: list[list[bytes]] = [
    [], [b"IN"], [b"in"], [b"FR"], [b""], [b"IN", b"IN"], [b"IN", b"US"], ["Österreich".encode()], [b"\xff"],
    [b"INDIA"], [b"xxx"], [b" IN"],
]  # fmt: skip
AGES = [
    "17", "18", "17.999", "64.5", "64.50001", "-1.5", "-1.4", "+12", "1e3", "0x10", "1_0", "", ".5", "5.",
    "--5", ".", "\u0661\u0662", "NaN", "Infinity", " 12", "1-2", "0" * 64 + "7", "0" * 63 + "7",
    "999999999999.999",
]  # fmt: skip
VERSIONS = [
    "2.1.0", "2.1.0-rc.1", "2.1.0-rc.2", "2.1.0-rc.10", "2.1.0-rc", "2.1.0-1", "2.1.0+build.5",
    "2.1.0-rc.1+b", "2.10.0", "3.0.0", "3.0.0-alpha", "2.9.9", "2.1", "v2.1.0", "02.1.0", "2.1.0-01",
    "2.1.0 ", "", "2.1.0-", "2.1.0-a..b", "2.1.\u0660", "9.9.9-" + "a" * 58, "9.9.9-" + "a" * 59,
    "1.99999999999999999999.0",
]  # fmt: skip
TIERS: list[Any] = [
    {"tier": "gold"},
    {"tier": "silver"},
    {"tier": 1},
    {"tier": None},
    {},
    "gold",
    {"tier": "staff"},
    {"tier": "enterprise"},
]


def audience_cases() -> Iterator[Json]:
    for values in COUNTRIES:
        headers = [user("u1"), *(("x-country", value) for value in values)]
        yield case(f"texts: {values!r}", "texts", headers)
        yield case(f"any: {values!r}", "any", headers)
    for beta in (b"beta=1", b"beta=2", b"beta=1; beta=1", b"beta=1; beta=2"):
        yield case(f"texts: both, {beta!r}", "texts", [user("u1"), ("x-country", b"US"), ("cookie", beta)])
    for age in AGES:
        yield case(f"number {age!a}", "numbers", [user("u1")], path="/?age=" + form(age))
    for version in VERSIONS:
        yield case(f"version {version!a}", "versions", [user("u1"), ("x-app-version", version.encode())])
    for tier in TIERS:
        account = {"meshtrial.test": {"account": tier}}
        yield case(f"claim asked for: {tier}", "claims-asked-for", [user("u1")], metadata=account)
        for number in range(3):
            headers = [user(f"u{number}"), ("x-country", b"IN")]
            yield case(f"cohorts of u{number}: {tier}", "cohorts", headers, metadata=account)
            yield case(f"weights of u{number}: {tier}", "cohort-weights", headers, metadata=account)
            yield case(
                f"weights of u{number}, aged 5: {tier}",
                "cohort-weights",
                headers,
                path="/?age=5",
                metadata=account,
            )
    for number in range(16):
        for name in ("percentage", "any", "cohorts"):
            yield case(f"{name}: u{number}", name, [user(f"u{number}")])
    yield case("percentage without a unit", "percentage", [])
    for device in ([], [b"phone"], [b""], [b"x" * 64], [b"x" * 65], [b"\xff"], [b"a", b"b"], [b"a", b"a"]):
        headers = [
            user("u1"),
            ("x-country", "Österreich".encode()),
            *(("x-device", value) for value in device),
        ]
        yield case(f"strata: {[(value[:9], len(value)) for value in device]!r}", "strata", headers)


def form(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


# Layers, modes, what is kept and what is signed --------------------------------------------------------


def layer_cases() -> Iterator[Json]:
    for number in range(40):
        yield case(f"layers: u{number}", "layers", [user(f"u{number}"), ("cookie", b"sid=s%d" % number)])
    yield case("layers: nobody", "layers", [])
    yield case("layers: only a cookie", "layers", [("cookie", b"sid=s1")])
    for number in range(10):
        yield case(f"modes: u{number}", "modes", [user(f"u{number}")])
    for number in range(10):
        for arm in ("a", "b", "gone"):
            first = [kept("rank", f"u{number}", arm)]
            yield case(f"kept in arm {arm}: u{number}", "sticky", [user(f"u{number}")], kept=first)
    yield case("kept of others", "sticky", [user("u1")], kept=[kept("look", "u1"), kept("rank", "u9")])
    yield case("kept of a group", "sticky-groups", [SHOP, user("u1")], kept=[kept("shelf", "s1")])
    yield case("kept of a group: nobody", "sticky-groups", [SHOP], kept=[kept("shelf", "s1")])


def kept(experiment: str, unit: str, arm: str = "b") -> Json:
    return {"experiment": experiment, "unit": unit, "arm": arm, "phase": "00112233aabbccdd"}


def two_carried() -> Json:
    one, two = carried("one", "b", "u1"), carried("two", "b", "u1")
    return {**one, "carried": {**one["carried"], **two["carried"]}}


FORCED: list[Json] = [
    {"look": "b"}, {"look": "gone"}, {"gone": "b"}, {"one": "gone"}, {"one": "b", "two": "b"},
]  # fmt: skip
CARRIED: list[tuple[str, str, Headers, Json]] = [
    ("no unit", "signed", [], carried("one", "b", "u1")),
    ("an ambiguous unit", "signed", [user("u1"), user("u2")], carried("one", "b", "u1")),
    ("an empty unit", "signed", [user("")], carried("one", "b", "u1")),
    ("an arm that is gone", "signed", [user("u1")], carried("one", "gone", "u1")),
    ("one that does not carry", "signed", [user("u1"), INDIA], carried("look", "b", "u1")),
    ("another kind", "signed", [user("u1")], carried("one", "b", "u1", "cookie:x-user-id")),
    ("forced elsewhere", "signed", [user("u1")], {**carried("one", "b", "u1"), "forced": {"two": "b"}}),
    ("forced nowhere", "signed", [user("u1")], {**carried("one", "b", "u1"), "forced": {"two": "gone"}}),
    ("two of a layer", "signed", [user("u1")], two_carried()),
    ("member u1", "carried-group", [SHOP, user("u1")], carried("shelf", "b", "u1")),
    ("member u2", "carried-group", [SHOP, user("u2")], carried("shelf", "b", "u1")),
    ("no member", "carried-group", [SHOP], carried("shelf", "b", "u1")),
    ("its cookie", "carried-minted", [("cookie", b"mt=c1")], carried("rank", "b", "c1", "cookie:mt")),
    ("another cookie", "carried-minted", [("cookie", b"mt=c2")], carried("rank", "b", "c1", "cookie:mt")),
    ("no cookie", "carried-minted", [], carried("rank", "b", "c1", "cookie:mt")),
    ("its window", "carried-switchback", [CITY], carried("price", "b", "paris", "header:x-city")),
    ("another city", "carried-switchback", [CITY], carried("price", "b", "rome", "header:x-city")),
]


def forced_cases() -> Iterator[Json]:
    for number, experiment, arm in product(range(8), ("one", "two"), "ba"):
        name = f"u{number} forced to {arm} of {experiment}"
        yield case(name, "signed", [user(f"u{number}")], forced={experiment: arm})
    for forced in FORCED:
        yield case(f"forced {forced} in the audience", "signed", [user("u1"), INDIA], forced=forced)
        yield case(f"forced {forced} outside of it", "signed", [user("u1")], forced=forced)
        yield case(f"forced {forced} without a unit", "signed", [INDIA], forced=forced)
    for mode in ("killed", "paused", "running"):
        yield case(f"forced, of one that is {mode}", "modes", [user("u1")], forced={mode: "b"})


def carried_cases() -> Iterator[Json]:
    for number in range(8):
        unit, who = f"u{number}", [user(f"u{number}")]
        for experiment, arm in product(("one", "two"), "ba"):
            name = f"{unit} carried to {arm} of {experiment}"
            yield case(name, "signed", who, **carried(experiment, arm, unit))
        yield case(f"{unit}: another unit's arm", "signed", who, **carried("one", "b", "u99"))
        yield case(f"{unit}: forced, too", "signed", who, forced={"one": "a"}, **carried("one", "b", unit))
        yield case(f"carried of a killed one: {unit}", "modes", who, **carried("killed", "b", unit))
    for what, plan, headers, context in CARRIED:
        yield case(f"carried: {what}", plan, headers, **context, now_ms=DAY + 11 * MINUTE)


def cases() -> Iterator[Json]:
    """All of them."""
    for part in (match_cases, audience_cases, layer_cases, forced_cases, carried_cases):
        yield from part()
