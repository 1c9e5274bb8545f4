"""MurmurHash2, 32 bits, seed 0: the hash of nginx's `split_clients`.

Austin Appleby's public-domain algorithm: https://github.com/aappleby/smhasher, MurmurHash2. No maintained
library of Python has it.
"""

import struct

_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(key: bytes) -> int:
    """The hash of a key of any length, 0..2^32-1."""
    length = len(key)
    h = length & _MASK
    whole = length & ~3
    for (word,) in struct.iter_unpack("<I", key[:whole]):
        k = word * _M & _MASK
        h = (h * _M & _MASK) ^ ((k ^ k >> 24) * _M & _MASK)
    tail = key[whole:]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15
