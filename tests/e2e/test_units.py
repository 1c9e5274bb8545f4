"""Every kind of unit on a real Envoy: the model that answers, the arm that md5 says, and what is stored."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import yaml

from e2e.client import Answer, get
from e2e.tokens import ANOTHER, public_keys, token
from e2e.trial import Trial, arm_of, patient, pseudonym, until
from plan_values import on, plan_text

JWT = "envoy.filters.http.jwt_authn"
USERS = [f"user-{number}" for number in range(30)]
WINDOW = 2
UNITS: dict[str, dict[str, Any]] = {
    "header": {"header": "x-user-id"},
    "cookie": {"cookie": "sid"},
    "query": {"query": "user"},
    "request": {"request": True},
    "claim": {"metadata": {"namespace": JWT, "path": ["payload", "sub"]}},
    "tenant": {"metadata": {"namespace": JWT, "path": ["payload", "org", "tenant"]}},
    "mint": {"cookie": "mt", "mint": {"max_age": "400d"}},
    "group": {"group": {"header": "x-store"}, "members": {"header": "x-user-id"}},
    "switchback": {"switchback": {"key": {"header": "x-region"}, "window": f"{WINDOW}s", "washout": "1s"}},
}
PLAN = plan_text({name: on(f"/{name}", unit=unit, exposures="all") for name, unit in UNITS.items()})


def with_authentication(configuration: str) -> str:
    """Envoy verifies tokens before it asks the sidecar; only below /claim/strict must there be one."""
    whole = yaml.safe_load(configuration)
    manager = whole["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    issued = {"provider_name": "issuer"}
    open_to_all = {"requires_any": {"requirements": [issued, {"allow_missing": {}}]}}
    provider = {
        "issuer": "https://issuer.example",
        "local_jwks": {"inline_string": public_keys()},
        "payload_in_metadata": "payload",
    }
    authentication = {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        "providers": {"issuer": provider},
        "rules": [
            {"match": {"prefix": "/claim/strict"}, "requires": issued},
            {"match": {"prefix": "/claim"}, "requires": open_to_all},
            {"match": {"prefix": "/tenant"}, "requires": open_to_all},
        ],
    }
    manager["http_filters"].insert(0, {"name": JWT, "typed_config": authentication})
    return str(yaml.safe_dump(whole, sort_keys=False))


@pytest.fixture(scope="module")
def running() -> Iterator[Trial]:
    with patient(PLAN, adapt=with_authentication) as started:
        yield started


def served(answer: Answer) -> str:
    return answer.model.removeprefix("model-")


def stored(running: Trial, experiment: str) -> Counter[tuple[str, str]]:
    """Unit and arm of each stored exposure of somebody who met the arm."""
    rows = running.recorded(experiment)
    return Counter((row["unit"], row["arm"]) for row in rows if row["exposed"])


def expected(experiment: str, kind: str, units: list[str]) -> Counter[tuple[str, str]]:
    return Counter((pseudonym(kind, unit), arm_of(unit, experiment)) for unit in units)


def test_by_header(running: Trial) -> None:
    for user in USERS:
        assert served(get(running.proxy, "/header", [("X-User-Id", user)])) == arm_of(user, "header")

    assert stored(running, "header") == expected("header", "header:x-user-id", USERS)


def test_by_cookie_however_it_is_written(running: Trial) -> None:
    units = []
    for user in USERS:
        for unit, cookies in [
            (user, [f"sid={user}"]),
            (user, [f"a=b; sid={user}; c"]),
            (user, ["a=b", f"sid={user}", "sidx=no; xsid=no"]),
            (user, [f" a=b ;sid = {user} ;"]),
            (f'"{user}"', [f'a="; sid="{user}"']),
            (f"{user}=x y", [f"sid={user}=x y; SID=other"]),
        ]:
            answer = get(running.proxy, "/cookie", [("cookie", line) for line in cookies])
            assert served(answer) == arm_of(unit, "cookie"), (unit, cookies)
            units.append(unit)
    twice = [f"sid={USERS[0]}; sid=other", "nothing", "sid", "sid="]
    assert {served(get(running.proxy, "/cookie", [("cookie", line)])) for line in twice} == {"v1"}

    assert stored(running, "cookie") == expected("cookie", "cookie:sid", units)
    assert Counter(row["reason"] for row in running.recorded("cookie"))["default"] == len(twice)


def test_by_query_decoded_as_forms_are(running: Trial) -> None:
    units = []
    for user in USERS:
        for unit, query in [
            (user, f"user={user}"),
            (user, f"page=1&user={user}&users=no"),
            (user, f"user={user}&user={user}"),
            (user, f"%75ser={user}"),
            (f"{user} b", f"user={user}+b"),
            (f"{user} b", f"user={user}%20b"),
            (f"{user}%zz", f"user={user}%zz"),
            (f"{user}+é=?", f"user={quote(user + '+é=?')}"),
            (f"ü {user}", f"&&user={quote_plus('ü ' + user)}"),
        ]:
            answer = get(running.proxy, f"/query?{query}")
            assert served(answer) == arm_of(unit, "query"), query
            units.append(unit)
    nobody = ["", "user", "user=", "user=a&user=b", "user=%ff", "User=a"]
    assert {served(get(running.proxy, f"/query?{query}")) for query in nobody} == {"v1"}

    assert stored(running, "query") == expected("query", "query:user", units)


def test_by_request_id_that_no_client_chooses(running: Trial) -> None:
    ids = []
    for _ in USERS:
        answer = get(running.proxy, "/request", [("x-request-id", "chosen")])
        ids.append(answer.header("x-request-id") or "")
        assert answer.reached_model("x-request-id") == [ids[-1]]
        assert served(answer) == arm_of(ids[-1], "request")

    assert len(set(ids)) == len(USERS)
    assert stored(running, "request") == expected("request", "request", ids)


def bearer(claims: dict[str, Any], **signed: int) -> list[tuple[str, str]]:
    claims = {"iss": "https://issuer.example", "exp": int(time.time()) + 600, **claims}
    return [("authorization", f"Bearer {token(claims, **signed)}")]


def test_by_a_claim_that_envoy_verified(running: Trial) -> None:
    for user in USERS:
        for path in ("/claim", "/claim/strict"):
            answer = get(running.proxy, path, [*bearer({"sub": user}), ("x-user-id", "other")])
            assert served(answer) == arm_of(user, "claim")

    kind = f"metadata:{JWT}:payload.sub"
    assert stored(running, "claim") == expected("claim", kind, USERS * 2)


def test_a_token_that_nobody_issued_is_refused_and_none_at_all_is_nobodys(running: Trial) -> None:
    before = len(running.recorded("claim"))
    forged = bearer({"sub": "user-1"}, private=ANOTHER)
    old = bearer({"sub": "user-1", "exp": int(time.time()) - 600})
    head, _, signature = bearer({"sub": "user-1"})[0][1].split(".")
    swapped = [("authorization", f"{head}.{bearer({'sub': 'user-2'})[0][1].split('.')[1]}.{signature}")]
    for headers in (forged, old, swapped):
        assert get(running.proxy, "/claim", headers).status == 401
    assert get(running.proxy, "/claim/strict").status == 401
    assert served(get(running.proxy, "/claim")) == "v1"

    (row,) = running.recorded("claim")[before:]
    assert (row["reason"], row["exposed"], row["unit"]) == ("default", False, None)


def test_only_a_text_claim_names_somebody(running: Trial) -> None:
    for user in USERS:
        answer = get(running.proxy, "/tenant", bearer({"sub": "s", "org": {"tenant": user}}))
        assert served(answer) == arm_of(user, "tenant")
    for claim in (9007199254740993123, 7, True, ["user-1"], {"a": "user-1"}, None, ""):
        assert served(get(running.proxy, "/tenant", bearer({"org": {"tenant": claim}}))) == "v1"

    rows = running.recorded("tenant")
    assert Counter(row["reason"] for row in rows) == {"split": len(USERS), "default": 7}
    assert stored(running, "tenant") == expected("tenant", f"metadata:{JWT}:payload.org.tenant", USERS)


SET_COOKIE = re.compile(r"mt=([0-9a-f]{32}); Max-Age=34560000; Path=/; Secure; HttpOnly; SameSite=Lax")


def test_by_a_cookie_that_whoever_has_none_is_given(running: Trial) -> None:
    given = []
    for _ in USERS:
        first = get(running.proxy, "/mint", [("cookie", "other=1"), ("answer-with", "set-cookie: own=1")])
        cookies = sorted(value for name, value in first.headers if name == "set-cookie")
        found = SET_COOKIE.fullmatch(cookies[0])
        assert found, cookies
        assert cookies[1:] == ["own=1"]
        given.append(found[1])
        assert served(first) == arm_of(given[-1], "mint")

        again = get(running.proxy, "/mint", [("cookie", f"other=1; mt={given[-1]}")])
        assert served(again) == served(first)
        assert again.header("set-cookie") is None

    assert len(set(given)) == len(USERS)
    assert stored(running, "mint") == expected("mint", "cookie:mt", given * 2)


def test_every_member_of_a_group_meets_its_groups_arm_and_both_are_recorded(running: Trial) -> None:
    told = Counter[tuple[str, str, str]]()
    for store in (f"store-{number}" for number in range(10)):
        for user in USERS[:6]:
            answer = get(running.proxy, "/group", [("x-store", store), ("x-user-id", user)])
            assert served(answer) == arm_of(store, "group")
            ids = pseudonym("header:x-user-id", user), pseudonym("header:x-store", store)
            told[*ids, arm_of(store, "group")] += 1
    assert served(get(running.proxy, "/group", [("x-user-id", "user-1")])) == "v1"

    rows = [row for row in running.recorded("group") if row["exposed"]]
    assert Counter((row["unit"], row["group"], row["arm"]) for row in rows) == told


def test_the_arm_of_a_switchback_changes_with_the_window_and_washout_is_not_exposed(running: Trial) -> None:
    regions = [f"region-{number}" for number in range(8)]
    told = Counter[tuple[str, int, str, bool]]()
    asked = 0

    def ask() -> bool:
        nonlocal asked
        for region in regions:
            before = time.time_ns() // 10**9
            arm = served(get(running.proxy, "/switchback", [("x-region", region)]))
            after = time.time_ns() // 10**9
            asked += 1
            if before == after:  # else the second is not known in which it was decided
                window, washed = before // WINDOW, before % WINDOW < 1
                assert arm == arm_of(f"{region}@{window}", "switchback")
                told[pseudonym("header:x-region", region), window, arm, not washed] += 1
        return len({(window, exposed) for _, window, _, exposed in told}) >= 4

    until(ask)
    rows = running.recorded("switchback")
    assert len(rows) == asked
    found = Counter((row["unit"], row["window"], row["arm"], row["exposed"]) for row in rows)
    assert all(found[key] >= count for key, count in told.items())
    assert {row["reason"] for row in rows} == {"split", "washout"}
    assert all(row["exposed"] == (row["reason"] == "split") for row in rows)


def test_without_the_sidecar_everybody_gets_control_and_nobody_a_cookie(running: Trial) -> None:
    running.stop_sidecar()
    try:
        for user in USERS[:10]:
            answer = get(running.proxy, "/mint", [("x-user-id", user)])
            assert served(answer) == "v1"
            assert answer.header("set-cookie") is None
            assert served(get(running.proxy, "/header", [("x-user-id", user)])) == "v1"
            assert get(running.proxy, "/claim", bearer({"sub": user}, private=ANOTHER)).status == 401
    finally:
        running.restart_sidecar()

    def decided() -> bool:
        return bool(
            get(running.proxy, "/header", [("x-user-id", "user-1")]).reached_model("x-meshtrial-arms")
        )

    until(decided, 0.5)  # By Envoy's default it would be asked again only after a second.


def test_the_store_and_the_logs_hold_no_unit_in_clear(running: Trial) -> None:
    get(running.proxy, "/header", [("x-user-id", "a-user-in-clear")])
    running.recorded("header")
    files = [path for path in running.directory.rglob("*") if path.is_file()]
    holding = [path.name for path in files if b"a-user-in-clear" in path.read_bytes()]
    assert holding == []
