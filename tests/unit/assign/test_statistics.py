"""What chance may not show in many assignments.

All inputs are fixed, so that a test passes or fails for good. Each statistic is held against the two-sided
z = 3.29 (p = 0.001), of a chi-squared against its quantile of the same 0.001; where the largest of several
is looked at, the 0.001 is shared among them (Bonferroni).
"""

import random
import uuid
from collections.abc import Callable, Sequence
from functools import cache
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import chi2, norm

from meshtrial.assign.audience import percentage_bucketing
from meshtrial.assign.bucket import bucket_of
from meshtrial.plan.model import Bucketing, Hash
from proof import often

UNITS = often(40_000, 500_000)
PAIRED = often(20_000, 100_000)
"""Of those, how many the twenty experiments split: each is hashed twenty times."""
Z = 3.29
LEVEL = 2 * norm.sf(Z)
"""0.001."""
Buckets = npt.NDArray[np.int64]
Units = Callable[[], Sequence[bytes]]


@cache
def sequential() -> list[bytes]:
    return [b"%d" % number for number in range(UNITS)]


@cache
def like_uuids() -> list[bytes]:
    chance = random.Random(1)
    return [str(uuid.UUID(int=chance.getrandbits(128), version=4)).encode() for _ in range(UNITS)]


@cache
def like_addresses() -> list[bytes]:
    chance = random.Random(2)
    names = ["ann", "bob", "eve"]
    return [
        f"{chance.choice(names)}.{number % 997}@{number // 997}.example.com".encode()
        for number in range(UNITS)
    ]


FAMILIES = pytest.mark.parametrize("units", [sequential, like_uuids, like_addresses])
HASHES = pytest.mark.parametrize("hash_", Hash)


def buckets_of(units: Sequence[bytes], bucketing: Bucketing) -> Buckets:
    return np.array([bucket_of(unit, bucketing) for unit in units], np.int64)


def assert_equally_full(cells: Buckets, count: int) -> None:
    """Pearson's chi-squared of `count` cells, each as likely as the others."""
    counts = np.bincount(cells, minlength=count)
    expected = len(cells) / count

    assert ((counts - expected) ** 2 / expected).sum() <= chi2.isf(LEVEL, count - 1)


def correlation_z(one: npt.ArrayLike, other: npt.ArrayLike) -> float:
    """Pearson's r, which for independent columns is normal with variance 1 / n; of two sides: phi.

    n * phi^2 is the chi-squared of the 2x2 table, so |z| <= 3.29 is that test at 0.001.
    """
    r = np.corrcoef(np.asarray(one, float), np.asarray(other, float))[0, 1]
    return float(r * np.sqrt(len(np.asarray(one))))


@FAMILIES
@HASHES
@pytest.mark.parametrize("salt", ["rank-v2", ""])
def test_buckets_are_equally_full_near_and_far(units: Units, hash_: Hash, salt: str) -> None:
    buckets = buckets_of(units(), Bucketing(hash_, salt, 10_000))

    assert_equally_full(buckets // 100, 100)  # neighbours together: what lanes are made of
    assert_equally_full(buckets % 100, 100)


@FAMILIES
@HASHES
@pytest.mark.parametrize("count", [2, 100, 128])
def test_few_buckets_are_equally_full_too(units: Units, hash_: Hash, count: int) -> None:
    assert_equally_full(buckets_of(units(), Bucketing(hash_, "rank", count)), count)


@FAMILIES
@HASHES
def test_twenty_experiments_split_the_same_units_independently(units: Units, hash_: Hash) -> None:
    known = units()[:PAIRED]
    sides = [buckets_of(known, Bucketing(hash_, f"exp-{number}", 100)) < 50 for number in range(20)]
    pairs = np.array([correlation_z(one, other) for one, other in combinations(sides, 2)])

    assert len(pairs) == 190
    assert np.abs(pairs).max() <= norm.isf(LEVEL / 2 / 190)  # the largest, shared among 190
    # And all together: the sum of 190 chi-squareds of one degree of freedom, pairwise independent.
    assert abs((pairs**2).sum() - 190) <= Z * np.sqrt(2 * 190)


@FAMILIES
@HASHES
def test_the_bucket_of_a_layer_says_nothing_of_the_arm(units: Units, hash_: Hash) -> None:
    known = units()
    layer = buckets_of(known, Bucketing(hash_, "ranking", 10_000)) // 1000
    arms = buckets_of(known, Bucketing(hash_, "rank-v2", 10_000)) // 2500
    counts = np.bincount(layer * 4 + arms, minlength=40).reshape(10, 4)
    expected = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / UNITS

    assert ((counts - expected) ** 2 / expected).sum() <= chi2.isf(LEVEL, 9 * 3)


@FAMILIES
@HASHES
def test_who_is_ramped_first_says_nothing_of_the_arm_or_of_the_id(units: Units, hash_: Hash) -> None:
    """Of two lanes of 40% each, the first 10% are live first."""
    buckets = buckets_of(units(), Bucketing(hash_, "rank-v2", 10_000))
    treated = buckets < 8000
    arm, place = buckets[treated] // 4000, buckets[treated] % 4000
    early = place < 400

    assert abs(correlation_z(arm, early)) <= Z
    assert abs(correlation_z(arm, place)) <= Z
    assert abs(correlation_z(np.flatnonzero(treated), place)) <= Z  # order of the ids


@FAMILIES
@HASHES
def test_who_is_in_a_percentage_says_nothing_of_the_arm(units: Units, hash_: Hash) -> None:
    known = units()
    inside = buckets_of(known, percentage_bucketing("rank-v2")) < 3000
    beta = buckets_of(known, percentage_bucketing("cohort:rank-v2")) < 3000
    arm = buckets_of(known, Bucketing(hash_, "rank-v2", 10_000)) < 5000

    assert abs(correlation_z(inside, arm)) <= Z
    assert abs(correlation_z(beta, arm)) <= Z
    assert abs(correlation_z(inside, beta)) <= Z, "a cohort and an experiment of one id"


@HASHES
def test_the_next_window_of_a_switchback_says_nothing_of_the_one_before(hash_: Hash) -> None:
    keys = [b"city-%d@%d" % (number % 7, number // 7) for number in range(UNITS)]
    side = buckets_of(keys, Bucketing(hash_, "price", 100)) < 50

    assert abs(correlation_z(side[:-7], side[7:])) <= Z
