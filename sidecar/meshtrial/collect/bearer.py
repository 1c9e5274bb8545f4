"""Bearer tokens (RFC 6750, section 2.1), compared in constant time."""

import hmac

from meshtrial.errors import Refused


def demand(token: bytes, authorization: str | None) -> None:
    """Let pass who shows the token.

    Args:
        token: What must be shown.
        authorization: The request's header of that name, None where it has none.

    Raises:
        Refused: 401; the header is missing, of another scheme, or shows something else.
    """
    scheme, _, shown = (authorization or "").partition(" ")
    if scheme.lower() != "bearer":
        raise Refused(401, "a token is needed: `authorization: Bearer TOKEN`")
    if not hmac.compare_digest(shown.strip().encode("latin-1", "replace"), token):
        raise Refused(401, "the token is wrong")


def may_report(otlp_token: bytes | None, outcome_token: bytes, authorization: str | None) -> bool:
    """Whether a client of an OTLP door may report outcomes: it shows the door's token, or that of outcomes.

    Args:
        otlp_token: What every client of the door must show; None for nothing.
        outcome_token: What a client shows to report outcomes, where the door asks for none.
        authorization: The request's header of that name, None where it has none.

    Raises:
        Refused: 401; the door's token is missing or wrong.
    """
    if otlp_token is not None:
        demand(otlp_token, authorization)
        return True
    try:
        demand(outcome_token, authorization)
    except Refused:
        return False
    return True
