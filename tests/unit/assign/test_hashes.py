"""The three hashes, held to publications and to implementations of their own."""

import hashlib
import random
from collections.abc import Callable

import pytest

from meshtrial.assign.bucket import bucket_of, hash_of, hashed_key
from meshtrial.assign.murmur2 import murmur2
from meshtrial.plan.bucketing import MAX_MURMUR_BUCKETS
from meshtrial.plan.model import Bucketing, Hash
from vectors import hashes

PRIME32, PRIME64 = 2654435761, 11400714785074694797


def xxhash_sanity_buffer(length: int) -> bytes:
    """What xxHash's own test hashes: https://github.com/Cyan4973/xxHash, cli/xsum_sanity_check.c."""
    state, made = PRIME32, bytearray()
    for _ in range(length):
        made.append(state >> 56)
        state = state * PRIME64 % 2**64
    return bytes(made)


# RFC 1321, A.5.
@pytest.mark.parametrize(
    ("key", "digest"),
    [
        (b"", 0xD41D8CD98F00B204E9800998ECF8427E),
        (b"a", 0x0CC175B9C0F1B6A831C399E269772661),
        (b"abc", 0x900150983CD24FB0D6963F7D28E17F72),
        (b"message digest", 0xF96B697D7CB7938D525A2F31AAF161D0),
        (b"1234567890" * 8, 0x57EDF4A22BE3C955AC49DA2E2107B67A),
    ],
)
def test_md5_is_that_of_its_rfc(key: bytes, digest: int) -> None:
    assert hash_of(key, Hash.MD5) == digest


# The first two and the fourth: xxHash's sanity check, seed 0; the others: xxhash for Nim and for Swift.
@pytest.mark.parametrize(
    ("key", "digest"),
    [
        (b"", 0xEF46DB3751D8E999),
        (xxhash_sanity_buffer(1), 0xE934A84ADB052768),
        (xxhash_sanity_buffer(4), 0x9136A0DCA57457EE),
        (xxhash_sanity_buffer(14), 0x8282DCC4994E35C8),
        (xxhash_sanity_buffer(222), 0xB641AE8CB691C174),
        (b"a", 15154266338359012955),
        (b"ab", 7347350983217793633),
        (b"abc", 4952883123889572249),
    ],
)
def test_xxh64_is_the_published_one(key: bytes, digest: int) -> None:
    assert hash_of(key, Hash.XXH64) == digest


# Of a C port of nginx's hash: https://github.com/MDGSF/mkits, test/mckits/unittest_hash_murmur.c.
@pytest.mark.parametrize(
    ("key", "digest"),
    [
        (b"PK", 2957225072),
        (b"18n", 3004844273),
        (b"L9K", 4225517),
        (b"Gn7C", 3725949234),
        (b"FebW3", 2514511449),
        (b"avuaOb", 4033247514),
        (b"5iUzahE", 2291821551),
        (b"hteYQrpJ", 1759435),
        (b"tuBoDzF9", 1631826472),
    ],
)
def test_murmur2_is_the_published_one(key: bytes, digest: int) -> None:
    assert hash_of(key, Hash.MURMUR2) == digest


@pytest.mark.parametrize(("hash_", "other"), [(Hash.XXH64, hashes.xxh64), (Hash.MURMUR2, hashes.murmur2)])
def test_keys_of_every_length_hash_as_another_implementation_says(
    hash_: Hash, other: Callable[[bytes], int]
) -> None:
    chance = random.Random(1)
    for length in [*range(200), 1023, 1024, 1100]:
        key = chance.randbytes(length)
        assert hash_of(key, hash_) == other(key)


def test_the_key_is_the_salt_a_colon_and_the_unit() -> None:
    assert hashed_key(b"u1", "rank") == b"rank:u1"
    assert hashed_key(b"u1", "größe") == "größe:u1".encode()
    assert hashed_key(b"u1", "") == b"u1"


@pytest.mark.parametrize("buckets", [2, 16, 100, 10_000, 2**31])
def test_md5_and_xxh64_take_the_remainder(buckets: int) -> None:
    md5 = int(hashlib.md5(b"rank:u1").hexdigest(), 16)

    assert bucket_of(b"u1", Bucketing(Hash.MD5, "rank", buckets)) == md5 % buckets
    assert bucket_of(b"u1", Bucketing(Hash.XXH64, "rank", buckets)) == hashes.xxh64(b"rank:u1") % buckets


@pytest.mark.parametrize("buckets", [2, 3, 7, 100, 10_000, 65_536, 999_983, MAX_MURMUR_BUCKETS])
def test_murmur2_is_cut_where_nginx_cuts(buckets: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bucket k begins at floor(k * (2^32 - 1) / buckets): `split_clients` with one part a bucket from 0."""
    bucketing = Bucketing(Hash.MURMUR2, "", buckets)

    def bucket_at(hash_: int) -> int:
        monkeypatch.setattr("meshtrial.assign.bucket.murmur2", lambda _key: hash_)
        return bucket_of(b"", bucketing)

    chance = random.Random(buckets)
    for k in {0, 1, 2, buckets // 2, buckets - 1, *(chance.randrange(buckets) for _ in range(50))}:
        begin = k * (2**32 - 1) // buckets
        for hash_ in range(max(begin - 3, 0), begin + 4):
            scanned = k - 2  # a linear scan of the boundaries nearby
            while (scanned + 1) * (2**32 - 1) // buckets <= hash_ and scanned + 1 < buckets:
                scanned += 1
            assert bucket_at(hash_) == max(scanned, 0) == hashes.range_of(hash_, buckets)
    assert bucket_at(2**32 - 1) == bucket_at(2**32 - 2) == buckets - 1
    assert murmur2(b"") == 0
