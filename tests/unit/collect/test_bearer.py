import pytest

from meshtrial.collect.bearer import demand
from meshtrial.errors import Refused


@pytest.mark.parametrize("header", ["Bearer secret", "bearer secret", "BEARER  secret "])
def test_the_token_lets_pass(header: str) -> None:
    demand(b"secret", header)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, "a token is needed"),
        ("", "a token is needed"),
        ("secret", "a token is needed"),
        ("Basic secret", "a token is needed"),
        ("Bearer", "the token is wrong"),
        ("Bearer secre", "the token is wrong"),
        ("Bearer secrets", "the token is wrong"),
        ("Bearer \u20ac", "the token is wrong"),
    ],
)
def test_anything_else_is_refused_with_401(header: str | None, reason: str) -> None:
    with pytest.raises(Refused, match=reason) as refused:
        demand(b"secret", header)

    assert refused.value.status == 401
