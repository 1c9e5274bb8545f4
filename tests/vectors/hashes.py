"""md5, xxh64 and MurmurHash2 to buckets, written out again: shares no code with the package."""

import hashlib
from fractions import Fraction

MASK = 2**64 - 1
P1, P2, P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
P4, P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def bucket_of(hash_name: str, salt: str, unit: bytes, buckets: int) -> int:
    key = (salt + ":").encode() + unit if salt else unit
    if hash_name == "md5":
        return int(hashlib.md5(key).hexdigest(), 16) % buckets
    if hash_name == "xxh64":
        return xxh64(key) % buckets
    return range_of(murmur2(key), buckets)


def range_of(hash_: int, buckets: int) -> int:
    """The last bucket that begins at or before the hash; found by halving."""
    low, high = 0, buckets
    while high - low > 1:
        middle = (low + high) // 2
        if Fraction(middle * (2**32 - 1), buckets).__floor__() <= hash_:
            low = middle
        else:
            high = middle
    return low


def xxh64(data: bytes) -> int:
    """XxHash's specification, "XXH64 Algorithm Description", with seed 0.

    https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
    """
    place = 0
    if len(data) >= 32:
        lanes = [(P1 + P2) & MASK, P2, 0, -P1 & MASK]
        while len(data) - place >= 32:
            for number in range(4):
                lanes[number] = _round(lanes[number], _little(data, place, 8))
                place += 8
        turns = (1, 7, 12, 18)
        acc = sum(_left(lane, turn) for lane, turn in zip(lanes, turns, strict=True)) & MASK
        for lane in lanes:
            acc = ((acc ^ _round(0, lane)) * P1 + P4) & MASK
    else:
        acc = P5
    acc = (acc + len(data)) & MASK
    while len(data) - place >= 8:
        acc = (_left(acc ^ _round(0, _little(data, place, 8)), 27) * P1 + P4) & MASK
        place += 8
    if len(data) - place >= 4:
        acc = (_left(acc ^ _little(data, place, 4) * P1 & MASK, 23) * P2 + P3) & MASK
        place += 4
    for byte in data[place:]:
        acc = _left(acc ^ byte * P5 & MASK, 11) * P1 & MASK
    acc = (acc ^ acc >> 33) * P2 & MASK
    acc = (acc ^ acc >> 29) * P3 & MASK
    return acc ^ acc >> 32


def _round(acc: int, word: int) -> int:
    return _left((acc + word * P2) & MASK, 31) * P1 & MASK


def _left(word: int, turn: int) -> int:
    return (word << turn | word >> (64 - turn)) & MASK


def _little(data: bytes, place: int, size: int) -> int:
    return int.from_bytes(data[place : place + size], "little")


def murmur2(data: bytes) -> int:
    """MurmurHash2, 32 bits, seed 0, byte by byte as nginx's `ngx_murmur_hash2` describes it."""
    m, mask = 0x5BD1E995, 2**32 - 1
    h, place, left = len(data) & mask, 0, len(data)
    while left >= 4:
        k = data[place] | data[place + 1] << 8 | data[place + 2] << 16 | data[place + 3] << 24
        k = k * m & mask
        k ^= k >> 24
        k = k * m & mask
        h = h * m & mask
        h ^= k
        place, left = place + 4, left - 4
    if left >= 3:
        h ^= data[place + 2] << 16
    if left >= 2:
        h ^= data[place + 1] << 8
    if left >= 1:
        h ^= data[place]
        h = h * m & mask
    h ^= h >> 13
    h = h * m & mask
    return h ^ h >> 15
