"""A unit's pseudonym: the only form in which a unit is recorded, stored or forwarded.

HMAC (RFC 2104) with SHA-256 over the unit's kind, a NUL and the unit's bytes, cut to 128 bits (RFC 2104,
section 5). Who has the key can tell a unit's pseudonym; without it, not even guessing units helps.
"""

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from meshtrial.errors import SettingError

if TYPE_CHECKING:
    from hashlib import _Hash

MINIMUM_SECRET: Final = 16
"""Bytes: under 128 bits a secret could be searched for."""

_BLOCK: Final = 64
"""Bytes of SHA-256's input block (FIPS 180-4)."""


@dataclass(frozen=True, slots=True)
class PseudonymKey:
    """The key of one deployment, shared by its sidecars and collectors; made by `PseudonymKey.of`."""

    secret: bytes = field(repr=False)
    id: str
    """8 hex digits that tell keys apart and say nothing of the secret; stored beside each pseudonym."""
    _inner: "_Hash" = field(repr=False, compare=False)
    _outer: "_Hash" = field(repr=False, compare=False)

    @classmethod
    def of(cls, secret: bytes) -> Self:
        """The key of this secret, any bytes, 16 or more.

        Raises:
            SettingError: The secret is too short.
        """
        if len(secret) < MINIMUM_SECRET:
            raise SettingError(
                f"the pseudonym key has {len(secret)} bytes; it must have at least {MINIMUM_SECRET}, "
                f"for example from `openssl rand -hex 32`"
            )
        key_id = hashlib.sha256(b"meshtrial key id\0" + secret).hexdigest()[:8]
        block = hashlib.sha256(secret).digest() if len(secret) > _BLOCK else secret
        block = block.ljust(_BLOCK, b"\0")
        inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))
        return cls(secret, key_id, inner, outer)

    def pseudonym(self, kind: str, unit: bytes) -> str:
        """32 lower-case hex digits for a unit of this kind (`header:x-user-id`, `request`)."""
        return self.digest(kind.encode(), unit).hex()[:32]

    def digest(self, *parts: bytes) -> bytes:
        """HMAC-SHA256 (RFC 2104) over the parts with a NUL between them, 32 bytes.

        The states after the key's two blocks are kept and copied (RFC 2104, section 4): on the path of
        every request this takes half the time of the `hmac` module.
        """
        inner = self._inner.copy()
        inner.update(b"\0".join(parts))
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()
