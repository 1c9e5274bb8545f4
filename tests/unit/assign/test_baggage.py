import hashlib
import hmac
from urllib.parse import quote, quote_plus, unquote_plus

import pytest

from meshtrial.assign.baggage import Carried, carried_arms, merged_baggage
from meshtrial.pseudonym import PseudonymKey

SECRET = b"sixteen bytes ok"
KEY = PseudonymKey.of(SECRET)
UNIT = "0123456789abcdef0123456789abcdef"
PHASE = "00ff00ff00ff00ff"
EXPIRY = 1_767_225_600
NOW = (EXPIRY - 1) * 10**9
RANK = Carried("v2", UNIT, "header:x-user-id", PHASE, EXPIRY)
GOOD = (
    b"meshtrial.rank-v2=v2;u=0123456789abcdef0123456789abcdef;k=header:x-user-id;p=00ff00ff00ff00ff"
    b";e=1767225600;s=021c82f9a3d1fa17b42e786a54f1c209"
)


def signed(
    experiment: str = "rank-v2",
    arm: str = "v2",
    unit: str = UNIT,
    kind: bytes = b"header:x-user-id",
    phase: str = PHASE,
    expiry: str = "1767225600",
    secret: bytes = SECRET,
) -> bytes:
    """A member, signed by the standard library."""
    parts = [b"\xffbaggage", experiment.encode(), arm.encode(), unit.encode(), kind, phase.encode()]
    message = b"\0".join([*parts, expiry.encode()])
    signature = hmac.new(secret, message, hashlib.sha256).hexdigest()[:32]
    encoded = quote(kind, safe=":")
    text = f"meshtrial.{experiment}={arm};u={unit};k={encoded};p={phase};e={expiry};s={signature}"
    return text.encode()


SEARCH = signed("search", "new", kind=b"request")


def test_the_signature_is_128_bits_of_hmac_sha256_over_every_part() -> None:
    assert signed() == GOOD
    assert merged_baggage([], [("rank-v2", RANK)], KEY) == GOOD


def test_a_signed_member_is_carried() -> None:
    assert carried_arms([GOOD], KEY, NOW) == {"rank-v2": RANK}


def test_members_are_found_among_others_in_all_headers() -> None:
    found = carried_arms([b"a=1;x, \t" + GOOD + b" ,b", b"", SEARCH], KEY, NOW)

    assert found == {"rank-v2": RANK, "search": Carried("new", UNIT, "request", PHASE, EXPIRY)}


def test_it_is_valid_until_its_second_begins() -> None:
    end = EXPIRY * 10**9

    assert carried_arms([GOOD], KEY, end - 1) == {"rank-v2": RANK}
    assert carried_arms([GOOD], KEY, end) == {}


@pytest.mark.parametrize(
    "forged",
    [
        b"meshtrial.rank-v2=v2",
        signed(secret=b"sixteen bytes no"),
        GOOD.replace(b"=v2;", b"=v3;"),
        GOOD.replace(b"rank-v2=", b"rank-v3="),
        GOOD.replace(b"u=0", b"u=1"),
        GOOD.replace(b"x-user-id", b"x-user"),
        GOOD.replace(b"p=00", b"p=01"),
        GOOD.replace(b"1767225600", b"1767225601"),
        GOOD.replace(b"021c", b"021C"),
        GOOD[:-1],
        GOOD + b"0",
        GOOD + b";x",
        GOOD.replace(b";e", b"; e"),
        GOOD.upper(),
        GOOD.replace(b"meshtrial", b"Meshtrial"),
        GOOD.replace(b"meshtrial", b"%6deshtrial"),
        GOOD.replace(b"meshtrial.", b"meshtrial ."),
        GOOD.replace(b"meshtrial.", b""),
        GOOD.replace(b";k=header:x-user-id", b""),
        signed(kind=b""),
        signed(kind=b"\xff"),
        signed(kind=b"query:a\0b"),
        signed(expiry="01767225600"),
        signed(unit=UNIT.upper()),
        b"\xff\0",
    ],
)
def test_what_the_key_has_not_signed_in_this_form_is_ignored_alone(forged: bytes) -> None:
    assert carried_arms([forged], KEY, NOW) == {}
    assert carried_arms([forged + b"," + SEARCH], KEY, NOW).keys() == {"search"}


def test_a_forced_arms_signature_is_none_of_baggage() -> None:
    message = b"\xffforce\0rank-v2\0v2\0" + b"1767225600"
    other = hmac.new(SECRET, message, hashlib.sha256).hexdigest()[:32].encode()

    assert carried_arms([GOOD[:-32] + other], KEY, NOW) == {}


def test_two_valid_members_of_one_experiment_that_differ_count_neither() -> None:
    for other in (signed(arm="v1"), signed(unit="f" * 32), signed(expiry="1767225601")):
        assert carried_arms([GOOD, other, SEARCH, GOOD], KEY, NOW).keys() == {"search"}

    assert carried_arms([GOOD, GOOD], KEY, NOW) == {"rank-v2": RANK}
    assert carried_arms([signed(arm="v1", expiry="1767225599"), GOOD], KEY, NOW) == {"rank-v2": RANK}


@pytest.mark.parametrize(
    ("kind", "encoded"),
    [
        ("cookie:mt", b"cookie:mt"),
        ("query:a;p=1,\u00e9", b"query:a%3Bp%3D1%2C%C3%A9"),
        ("header:x+y%2f'", b"header:x%2By%252f%27"),
    ],
)
def test_any_kind_of_unit_is_carried(kind: str, encoded: bytes) -> None:
    one = Carried("v2", UNIT, kind, PHASE, EXPIRY)
    sent = merged_baggage([], [("rank-v2", one)], KEY)

    assert b";k=" + encoded + b";p=" in sent
    assert carried_arms([sent], KEY, NOW) == {"rank-v2": one}


def test_a_member_survives_a_model_that_passes_it_on_by_opentelemetry_for_python() -> None:
    # Its W3CBaggagePropagator decodes and encodes whole values, properties and all.
    name, _, value = GOOD.decode().partition("=")
    passed_on = f"{quote_plus(name)}={quote_plus(unquote_plus(value))}".encode()

    assert b"v2%3Bu%3D0123" in passed_on
    assert carried_arms([passed_on], KEY, NOW) == {"rank-v2": RANK}


def test_the_clients_own_members_stay_as_they_are_and_ours_follow() -> None:
    client = [b"a = 1;x=2 ,  a=3", b"no-member;;,\xff=%zz", b"mesh=1,x.meshtrial.y=2"]

    assert merged_baggage(client, [("rank-v2", RANK)], KEY) == b",".join([*client, GOOD])
    assert merged_baggage([b"a = 1, b=2"], [], KEY) == b"a = 1, b=2"


def test_every_member_under_our_prefix_is_removed_however_it_is_written() -> None:
    foreign = [
        b"meshtrial.rank-v2=v1",
        b" \tmeshtrial.rank-v2 = v1",
        b"MeshTrial.other=v1;x",
        b"%6Deshtrial%2Ea=1",
        b"%20meshtrial.a=1",
        b"meshtrial.",
        b"meshtrial.a;b",
        SEARCH,
    ]

    assert merged_baggage([b",".join([b"a=1", *foreign, b"b=2"])], [], KEY) == b"a=1,b=2"
    assert merged_baggage(foreign, [("rank-v2", RANK)], KEY) == GOOD
    assert merged_baggage(foreign, [], KEY) == b""


def test_empty_elements_are_dropped() -> None:
    assert merged_baggage([b"", b" , ,a=1,,", b"\t"], [], KEY) == b"a=1"
    assert merged_baggage([], [], KEY) == b""


def test_beside_ours_the_client_has_what_is_left_of_sixty_four_members() -> None:
    client = [b"k%d=1" % number for number in range(80)]
    merged = merged_baggage([b",".join(client)], [("rank-v2", RANK)], KEY).split(b",")

    assert merged == [*client[:63], GOOD]
    assert carried_arms([b",".join(merged)], KEY, NOW) == {"rank-v2": RANK}


def test_beside_ours_the_client_has_what_is_left_of_eight_kib() -> None:
    room = 8192 - len(GOOD) - 1 - len(b"a=1,")
    fits, does_not = b"b=".ljust(room, b"x"), b"b=".ljust(room + 1, b"x")

    assert merged_baggage([b"a=1", fits], [("rank-v2", RANK)], KEY) == b",".join([b"a=1", fits, GOOD])
    assert len(merged_baggage([b"a=1", fits], [("rank-v2", RANK)], KEY)) == 8192
    assert merged_baggage([b"a=1", does_not, b"c=2"], [("rank-v2", RANK)], KEY) == b"a=1," + GOOD


def test_a_member_that_the_limit_would_cut_is_left_out_whole() -> None:
    longest = b"a=".ljust(8192, b"x")

    assert merged_baggage([longest], [], KEY) == longest
    assert merged_baggage([longest + b"x"], [], KEY) == b""
    assert merged_baggage([b"a=1", longest], [], KEY) == b"a=1"


def test_of_more_of_ours_than_fit_the_first_are_sent() -> None:
    many = [(f"experiment-{number:02}", RANK) for number in range(99)]
    merged = merged_baggage([b"a=1"], many, KEY)
    carried = carried_arms([merged], KEY, NOW)

    assert len(merged) <= 8192
    assert list(carried) == [name for name, _ in many[: len(carried)]]
    assert len(merged) + 1 + len(signed("experiment-00")) > 8192


def test_members_beyond_the_limits_are_not_read() -> None:
    assert carried_arms([b"," * 63 + GOOD], KEY, NOW) == {"rank-v2": RANK}
    assert carried_arms([b"," * 64 + GOOD], KEY, NOW) == {}
    assert carried_arms([b"x" * (8191 - len(GOOD)), GOOD], KEY, NOW) == {"rank-v2": RANK}
    assert carried_arms([b"x" * (8192 - len(GOOD)), GOOD], KEY, NOW) == {}
