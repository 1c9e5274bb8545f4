import hashlib
import hmac

import pytest

from meshtrial.assign.force import forced_arms, sign_force
from meshtrial.pseudonym import PseudonymKey

SECRET = b"sixteen bytes ok"
KEY = PseudonymKey.of(SECRET)
EXPIRY = 1_767_225_600
NOW = (EXPIRY - 1) * 10**9
GOOD = b"rank-v2=v2;e=1767225600;s=bf725508775f7ca87cac923e99c31e8f"


def signed(text: str, secret: bytes = SECRET) -> bytes:
    """`experiment arm expiry` as a member, signed by the standard library."""
    experiment, arm, expiry = text.split(" ")
    message = b"\xffforce\0" + f"{experiment}\0{arm}\0{expiry}".encode()
    signature = hmac.new(secret, message, hashlib.sha256).hexdigest()[:32]
    return f"{experiment}={arm};e={expiry};s={signature}".encode()


def test_the_signature_is_128_bits_of_hmac_sha256_over_experiment_arm_and_expiry() -> None:
    assert signed("rank-v2 v2 1767225600") == GOOD
    assert sign_force(KEY, "rank-v2", "v2", EXPIRY).encode() == GOOD


def test_a_signed_arm_is_forced() -> None:
    assert forced_arms([GOOD], KEY, NOW) == {"rank-v2": "v2"}


def test_several_experiments_come_in_one_header_or_in_several() -> None:
    search, shop = signed("search new 1767225600"), signed("shop.x a_b-c 1767225600")
    expected = {"rank-v2": "v2", "search": "new", "shop.x": "a_b-c"}

    assert forced_arms([GOOD + b" ,\t" + search + b"," + shop], KEY, NOW) == expected
    assert forced_arms([GOOD, search + b", " + shop], KEY, NOW) == expected


def test_it_is_valid_until_its_second_begins() -> None:
    end = EXPIRY * 10**9

    assert forced_arms([GOOD], KEY, end - 1) == {"rank-v2": "v2"}
    assert forced_arms([GOOD], KEY, end) == {}


@pytest.mark.parametrize(
    "forged",
    [
        signed("rank-v2 v2 1767225600", b"sixteen bytes no"),
        GOOD.replace(b"=v2;", b"=v3;"),
        GOOD.replace(b"rank-v2=", b"rank-v3="),
        GOOD.replace(b"1767225600", b"1767225601"),
        GOOD.replace(b"bf72", b"BF72"),
        GOOD[:-1],
        GOOD + b"0",
        GOOD.partition(b";s=")[0],
        GOOD.replace(b";e", b"; e"),
        GOOD + b";x=1",
        f"rank-v2=v2;e=1767225600;s={KEY.pseudonym('force', b'rank-v2' + bytes(1) + b'v2')}".encode(),
        signed("rank-v2 v2 01767225600"),
        signed("rank-v2 v2 -1"),
        signed("Rank v2 1767225600"),
        signed("a=b;e=1 v2 1767225600"),
        b"rank-v2",
        b"",
        b"\xff\0",
    ],
)
def test_what_the_key_has_not_signed_in_this_form_is_ignored_alone(forged: bytes) -> None:
    search = signed("search new 1767225600")

    assert forced_arms([forged], KEY, NOW) == {}
    assert forced_arms([forged + b"," + search], KEY, NOW) == {"search": "new"}


def test_an_experiment_validly_forced_to_two_arms_is_forced_to_none() -> None:
    other, search = signed("rank-v2 v1 1767225600"), signed("search new 1767225600")
    later = signed("rank-v2 v2 1767225601")

    assert forced_arms([GOOD, other, search, GOOD], KEY, NOW) == {"search": "new"}
    assert forced_arms([GOOD, later], KEY, NOW) == {"rank-v2": "v2"}


def test_an_expired_or_forged_member_does_not_contradict() -> None:
    expired = signed(f"rank-v2 v1 {EXPIRY - 1}")
    forged = GOOD.replace(b"=v2;", b"=v3;")

    assert forced_arms([expired, forged, GOOD], KEY, NOW) == {"rank-v2": "v2"}


def test_sixteen_members_and_four_kib_are_looked_at() -> None:
    assert forced_arms([b"," * 15 + GOOD], KEY, NOW) == {"rank-v2": "v2"}
    assert forced_arms([b"," * 16 + GOOD], KEY, NOW) == {}
    assert forced_arms([b"x" * (4095 - len(GOOD)), GOOD], KEY, NOW) == {"rank-v2": "v2"}
    assert forced_arms([b"x" * (4096 - len(GOOD)), GOOD], KEY, NOW) == {}
