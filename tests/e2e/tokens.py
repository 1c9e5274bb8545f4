"""Signed tokens for tests: ES256 (RFC 7518, section 3.4) by the textbook, for want of a library's secrets.

Nothing here is fit for anything but tests: it takes no care of timing, and the key is no secret.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

# P-256, https://csrc.nist.gov/pubs/sp/800/186/final, section 3.2.1.3: the field, the order, the base point.
_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_Point = tuple[int, int] | None

PRIVATE, ANOTHER = 0x5EED_0001, 0x5EED_0002
"""Private keys."""


def _added(one: _Point, other: _Point) -> _Point:
    if one is None or other is None:
        return one or other
    (x1, y1), (x2, y2) = one, other
    if x1 == x2 and (y1 + y2) % _P == 0:
        return None
    slope = (
        (3 * x1 * x1 - 3) * pow(2 * y1, -1, _P) if one == other else (y2 - y1) * pow(x2 - x1, -1, _P)
    ) % _P
    x3 = (slope * slope - x1 - x2) % _P
    return x3, (slope * (x1 - x3) - y1) % _P


def _times(scalar: int) -> tuple[int, int]:
    total: _Point = None
    point: _Point = _G
    while scalar:
        if scalar & 1:
            total = _added(total, point)
        point = _added(point, point)
        scalar >>= 1
    assert total is not None
    return total


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def public_keys(private: int = PRIVATE) -> str:
    """The JWKS (RFC 7517) of a private key."""
    x, y = (_encoded(part.to_bytes(32, "big")) for part in _times(private))
    key = {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "k", "x": x, "y": y}
    return json.dumps({"keys": [key]})


def token(claims: Mapping[str, Any], private: int = PRIVATE) -> str:
    """A signed token (RFC 7519)."""
    head = _encoded(json.dumps({"alg": "ES256", "kid": "k"}).encode())
    signed = f"{head}.{_encoded(json.dumps(claims).encode())}"
    digest = int.from_bytes(hashlib.sha256(signed.encode()).digest(), "big")
    chance = int.from_bytes(hashlib.sha256(f"{private}:{signed}".encode()).digest(), "big") % _N
    r = _times(chance)[0] % _N
    s = pow(chance, -1, _N) * (digest + r * private) % _N
    return f"{signed}.{_encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
