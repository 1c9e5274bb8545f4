"""Two ways to share out the same units -> the share of units that each pair of parts has, exact."""

from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm
from typing import Generic, TypeVar

from meshtrial.plan.model import Bucketing, Hash
from meshtrial.plan.traffic import Unit

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Parts(Generic[_T]):
    """The buckets of one hash, and what each of them is part of."""

    unit: Unit
    bucketing: Bucketing
    stretches: tuple[tuple[int, int, _T], ...]
    """First bucket, the one after the last, and what they are part of; every bucket in exactly one."""

    def hashed(self) -> tuple[object, ...]:
        """What is hashed and how, whatever the number of buckets: equal ones know each other's buckets."""
        window = self.unit.switchback
        windows = (window.window, window.offset) if window else None
        return (self.unit.source, windows, self.bucketing.hash, self.bucketing.salt)

    def rescaled(self, buckets: int) -> "Parts[_T]":
        """The same parts in a multiple of the number of buckets, for a hash that buckets by ranges."""
        by = buckets // self.bucketing.buckets
        bucketing = Bucketing(self.bucketing.hash, self.bucketing.salt, buckets)
        return Parts(self.unit, bucketing, tuple((a * by, b * by, part) for a, b, part in self.stretches))


def keeps_buckets(old: Parts[_T], new: Parts[_T]) -> bool:
    """Whether a unit's place along the buckets is the same in both: nobody is reassigned by the hash."""
    if old.hashed() != new.hashed():
        return False
    return old.bucketing.hash is Hash.MURMUR2 or old.bucketing.buckets == new.bucketing.buckets


def joint(old: Parts[_T], new: Parts[_T]) -> dict[tuple[_T, _T], Fraction]:
    """Share of units by their old and their new part; pairs without units are left out, the sum is 1.

    Two hashes are independent. Of one hash modulo m and modulo n, what is common is the remainder modulo
    g = gcd(m, n): given that, the two buckets are independent (Chinese remainder theorem), and over a
    stretch of remainders that no boundary falls into, the number of buckets of a part is constant. With
    m = n this is the overlap of intervals, with g = 1 the product of shares. A hash that buckets by ranges
    is compared in the least common multiple of m and n.
    """
    if old.hashed() != new.hashed():
        common = 1
    elif old.bucketing.hash is Hash.MURMUR2:
        common = lcm(old.bucketing.buckets, new.bucketing.buckets)
        old, new = old.rescaled(common), new.rescaled(common)
    else:
        common = gcd(old.bucketing.buckets, new.bucketing.buckets)
    edges = {
        edge % common for parts in (old, new) for start, end, _ in parts.stretches for edge in (start, end)
    }
    cuts = sorted(edges | {0})
    counts: dict[tuple[_T, _T], int] = defaultdict(int)
    for first, after in zip(cuts, [*cuts[1:], common], strict=True):
        before, then = _of_remainder(old, first, common), _of_remainder(new, first, common)
        for part, width in before.items():
            for other, other_width in then.items():
                counts[part, other] += (after - first) * width * other_width
    total = old.bucketing.buckets * new.bucketing.buckets // common
    return {pair: Fraction(count, total) for pair, count in counts.items()}


def _of_remainder(parts: Parts[_T], remainder: int, modulus: int) -> dict[_T, int]:
    """Number of buckets of each part that leave this remainder, where there are any."""
    found: dict[_T, int] = defaultdict(int)
    for start, end, part in parts.stretches:
        # Numbers below x of that remainder: the whole part of (x - remainder) / modulus, rounded up.
        width = -((remainder - end) // modulus) + ((remainder - start) // modulus)
        if width:
            found[part] += width
    return found
