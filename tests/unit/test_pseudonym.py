import hashlib
import hmac

import pytest

from meshtrial.errors import SettingError
from meshtrial.pseudonym import PseudonymKey

SECRET = b"sixteen bytes ok"


@pytest.mark.parametrize("secret", [SECRET, bytes(range(64)), bytes(range(200))])
@pytest.mark.parametrize(
    ("kind", "unit"), [("header:x-user-id", b"ann"), ("request", "\u00e4\u20ac".encode()), ("request", b"")]
)
def test_the_pseudonym_is_128_bits_of_hmac_sha256_over_kind_nul_unit(
    secret: bytes, kind: str, unit: bytes
) -> None:
    expected = hmac.new(secret, kind.encode() + b"\0" + unit, hashlib.sha256).hexdigest()[:32]

    assert expected == PseudonymKey.of(secret).pseudonym(kind, unit)


def test_the_same_unit_of_another_kind_or_key_has_another_pseudonym() -> None:
    key = PseudonymKey.of(SECRET)
    pseudonyms = {
        key.pseudonym("header:x-user-id", b"ann"),
        key.pseudonym("request", b"ann"),
        PseudonymKey.of(SECRET + b"!").pseudonym("header:x-user-id", b"ann"),
    }

    assert len(pseudonyms) == 3


def test_the_key_id_tells_keys_apart_without_the_secret() -> None:
    expected = hashlib.sha256(b"meshtrial key id\0" + SECRET).hexdigest()[:8]

    assert expected == PseudonymKey.of(SECRET).id


def test_a_secret_under_16_bytes_is_refused_with_the_rule() -> None:
    with pytest.raises(SettingError, match="has 15 bytes; it must have at least 16"):
        PseudonymKey.of(SECRET[:15])


def test_the_secret_is_not_printed() -> None:
    assert "sixteen" not in repr(PseudonymKey.of(SECRET))


def test_equal_secrets_are_equal_keys() -> None:
    assert PseudonymKey.of(SECRET) == PseudonymKey.of(SECRET)
    assert len({PseudonymKey.of(SECRET), PseudonymKey.of(SECRET)}) == 1
