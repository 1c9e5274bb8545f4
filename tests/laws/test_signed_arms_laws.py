"""What holds of arms that travel in headers, whoever wrote them."""

from urllib.parse import unquote_to_bytes

from hypothesis import given
from hypothesis import strategies as st

from meshtrial.assign.baggage import Carried, carried_arms, merged_baggage
from meshtrial.assign.force import forced_arms, sign_force
from meshtrial.pseudonym import PseudonymKey

KEY = PseudonymKey.of(b"sixteen bytes ok")
LATEST = 10**12 - 1

names = st.from_regex(r"[a-z][a-z0-9_.-]{0,63}", fullmatch=True)
expiries = st.integers(1, LATEST)
kinds = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=40)
carried = st.builds(
    Carried,
    arm=names,
    unit=st.from_regex(r"[0-9a-f]{32}", fullmatch=True),
    kind=st.sampled_from(["request", "header:x-user-id"]) | kinds,
    phase=st.from_regex(r"[0-9a-f]{16}", fullmatch=True),
    expiry=expiries,
)
FORCED = sign_force(KEY, "rank", "v2", 1000).encode()
CARRIED = merged_baggage([], [("rank", Carried("v2", "0f" * 16, "request", "0f" * 8, 1000))], KEY)
pieces = st.sampled_from(
    [FORCED, CARRIED, b"meshtrial.rank=v2", b"%", b"%00", b",", b";", b"=", b" ", b"a=1"]
)
lines = st.binary(max_size=60) | st.lists(pieces | st.binary(max_size=4), max_size=12).map(b"".join)
values = st.lists(lines, max_size=5)
clients = st.lists(st.binary(min_size=1, max_size=20).filter(bytes.strip), max_size=20)


@given(values, st.integers())
def test_any_bytes_at_any_time_give_only_what_was_signed(headers: list[bytes], now: int) -> None:
    assert forced_arms(headers, KEY, now) in ({}, {"rank": "v2"})
    assert {name: one.arm for name, one in carried_arms(headers, KEY, now).items()} in ({}, {"rank": "v2"})


@given(st.dictionaries(names, st.tuples(names, expiries), min_size=1, max_size=10), st.data())
def test_forced_arms_come_back_until_each_expires(
    asked: dict[str, tuple[str, int]], data: st.DataObject
) -> None:
    second = data.draw(st.sampled_from([expiry for _, expiry in asked.values()]))
    headers = [sign_force(KEY, name, arm, expiry).encode() for name, (arm, expiry) in asked.items()]
    for now in (second * 10**9 - 1, second * 10**9):
        expected = {name: arm for name, (arm, expiry) in asked.items() if now < expiry * 10**9}
        assert forced_arms(headers, KEY, now) == expected


@given(st.dictionaries(names, carried, max_size=10), clients, st.data())
def test_carried_arms_come_back_until_each_expires(
    sent: dict[str, Carried], client: list[bytes], data: st.DataObject
) -> None:
    second = data.draw(st.sampled_from([one.expiry for one in sent.values()] or [1]))
    merged = merged_baggage(client, tuple(sent.items()), KEY)
    for now in (second * 10**9 - 1, second * 10**9):
        expected = {name: one for name, one in sent.items() if now < one.expiry * 10**9}
        assert carried_arms([merged], KEY, now) == expected


@given(names, names, expiries, st.data())
def test_a_forced_arm_of_which_any_one_byte_is_changed_is_refused(
    name: str, arm: str, expiry: int, data: st.DataObject
) -> None:
    good = sign_force(KEY, name, arm, expiry).encode()
    at, byte = data.draw(st.integers(0, len(good) - 1)), data.draw(st.integers(0, 255))
    changed = good[:at] + bytes([byte]) + good[at + 1 :]

    assert forced_arms([changed], KEY, 0) == ({name: arm} if changed == good else {})


@given(names, carried, st.data())
def test_a_carried_arm_of_which_any_one_byte_is_changed_is_refused(
    name: str, one: Carried, data: st.DataObject
) -> None:
    good = merged_baggage([], [(name, one)], KEY)
    at, byte = data.draw(st.integers(0, len(good) - 1)), data.draw(st.integers(0, 255))
    changed = good[:at] + bytes([byte]) + good[at + 1 :]
    # `%c3` and `%C3` are one byte (RFC 3986, 2.1): that is no change.
    same = unquote_to_bytes(changed) == unquote_to_bytes(good)

    assert carried_arms([changed], KEY, 0) == ({name: one} if same else {})


@given(values, st.dictionaries(names, carried, max_size=3))
def test_merging_again_changes_nothing_and_nothing_unsigned_stays_under_our_prefix(
    client: list[bytes], sent: dict[str, Carried]
) -> None:
    members = tuple(sent.items())
    merged = merged_baggage(client, members, KEY)
    under_prefix = [part for part in merged.split(b",") if part.strip().lower().startswith(b"meshtrial.")]

    assert merged_baggage([merged], members, KEY) == merged
    assert len(merged) <= 8192
    assert len(under_prefix) == len(sent)
    assert carried_arms([merged], KEY, 0) == sent


@given(clients, st.dictionaries(names, carried, max_size=3))
def test_the_clients_other_members_stay_byte_for_byte_in_their_order(
    client: list[bytes], sent: dict[str, Carried]
) -> None:
    own = [part for line in client for part in line.split(b",") if part.strip(b" \t")]
    own = [part for part in own if b"meshtrial" not in unquote_to_bytes(part).lower()][:50]
    mixed = [part for member in own for part in (member, b"meshtrial.x=forged")][:60]
    merged = merged_baggage([b",".join(mixed)], tuple(sent.items()), KEY)
    kept = merged.split(b",")[: len(merged.split(b",")) - len(sent)] if merged else []

    assert b",".join(kept).strip(b" \t") == b",".join(mixed[::2]).strip(b" \t")
