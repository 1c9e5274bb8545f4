"""`hash`, `salt` and `buckets`: how a unit becomes a bucket."""

from meshtrial.plan.cursor import Cursor, Fields
from meshtrial.plan.model import Bucketing, Hash
from meshtrial.plan.problems import Rule

HASHING = ("hash", "salt", "buckets")
DEFAULT_BUCKETS = 10_000
"""Weights to a hundredth of a percent."""
MAX_BUCKETS = 2**31
"""Far below 2^53, so that every plane's arithmetic is exact."""
MAX_MURMUR_BUCKETS = 2**20
"""Times 2^32 still below 2^53."""


def read_bucketing(fields: Fields, default_salt: str) -> Bucketing | None:
    """Read the three keys, each of which may be left out."""
    hash_ = fields.read("hash", lambda c: c.choice(Hash)) if "hash" in fields else Hash.MD5
    salt = fields.read("salt", Cursor.line_of_text) if "salt" in fields else default_salt
    buckets = fields.read("buckets", _buckets) if "buckets" in fields else DEFAULT_BUCKETS
    if hash_ is Hash.MURMUR2 and buckets is not None and buckets > MAX_MURMUR_BUCKETS:
        message = f"murmur2 has 32 bits: at most {MAX_MURMUR_BUCKETS:,} buckets"
        fields["buckets"].fail(Rule.RANGE, message)
        return None
    if hash_ is None or salt is None or buckets is None:
        return None
    return Bucketing(hash_, salt, buckets)


def _buckets(cursor: Cursor) -> int | None:
    return cursor.integer(2, MAX_BUCKETS)
