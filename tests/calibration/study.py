"""Simulation studies: how often a method errs, beside how often it says that it does.

A study draws trials and counts in how many of them each of several things happened; a claim says in what
share of them it should have. `pytest` runs the short form, `make calibrate` the full one, of the same code.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

TWO_SIDED: Final = 3.29
"""Standard errors that 1 in 1000 counts are further off, either way."""
ONE_SIDED: Final = 3.09
"""The same of counts that are too high."""
Count: TypeAlias = Callable[[np.random.Generator, int], Sequence[int]]
"""Draws so many trials, and says in how many of them each of several things happened."""


@dataclass(frozen=True, slots=True)
class Claim:
    """In what share of trials something happens."""

    what: str
    """What is counted, a row of the page."""
    expected: str
    """The share, as the page says it."""
    low: float
    """The least share that is right, 0..1, but for the count's own chance."""
    high: float
    """The largest."""
    errors: float = 0.0
    """Standard errors of such a count that are allowed beyond both."""
    wrong: bool = False
    """Whether this is a wrong way to do it, which must be caught: its band lies apart from what is right."""

    def band(self, runs: int) -> tuple[float, float]:
        """The shares, of so many trials, that agree with the claim."""

        def chance(rate: float) -> float:
            return self.errors * math.sqrt(rate * (1 - rate) / runs)

        return max(0.0, self.low - chance(self.low)), min(1.0, self.high + chance(self.high))

    def verdict(self, count: int, runs: int) -> str:
        """`holds`, of a wrong way `caught`; `FAILS` where the share is outside the band."""
        low, high = self.band(runs)
        if not low <= count / runs <= high:
            return "FAILS"
        return "caught" if self.wrong else "holds"


def exactly(what: str, rate: float, *, give: float = 0.0, wrong: bool = False) -> Claim:
    """A share that is known, but for `give` where the known value is itself rounded or simulated."""
    return Claim(what, f"{rate:.4g}", rate - give, rate + give, TWO_SIDED, wrong)


def at_most(what: str, rate: float, least: float = 0.0) -> Claim:
    """A share that is promised not to be exceeded; under `least` the method would waste what it may spend."""
    return Claim(what, f"{rate:g} at most", least, rate, ONE_SIDED)


def at_least(what: str, rate: float) -> Claim:
    """A share that is reached, well beyond chance."""
    return Claim(what, f"{rate:g} at least", rate, 1.0)


def caught_above(what: str, rate: float) -> Claim:
    """A wrong way, that errs more often than so."""
    return Claim(what, f"over {rate:g}", rate, 1.0, wrong=True)


def caught_below(what: str, rate: float) -> Claim:
    """A wrong way, that covers less often than so."""
    return Claim(what, f"under {rate:g}", 0.0, rate, wrong=True)


def chosen(count: Count, *places: int) -> Count:
    """Some of the counts of a study."""

    def counts(rng: np.random.Generator, runs: int) -> Sequence[int]:
        every = count(rng, runs)
        return [every[place] for place in places]

    return counts


@dataclass(frozen=True, slots=True)
class Study:
    """Trials of one kind, and what is claimed of them."""

    title: str
    """What is simulated, as the page says it; unlike all others."""
    seed: int
    short: int
    """Trials in the tests: as many as tell a broken method apart."""
    full: int
    """Trials on the page."""
    count: Count
    """What happened, for each claim."""
    claims: tuple[Claim, ...]
    at_once: int = 500
    """Trials drawn with one seed, as much as fits in memory."""
    note: str = ""
    """What the page says below, should a figure need a word."""

    def parts(self, runs: int) -> Iterator[tuple[int, int]]:
        """Number and trials of each part; parts may be counted anywhere and in any order."""
        for number, start in enumerate(range(0, runs, self.at_once)):
            yield number, min(self.at_once, runs - start)

    def part(self, number: int, runs: int) -> list[int]:
        """Count one of the parts."""
        found = [int(count) for count in self.count(np.random.default_rng([self.seed, number]), runs)]
        if len(found) != len(self.claims):
            raise ValueError(f"{self.title}: {len(found)} counts for {len(self.claims)} claims")
        return found

    def counted(self, runs: int) -> list[int]:
        """Count all parts."""
        counts = [self.part(*part) for part in self.parts(runs)]
        return [sum(of_claim) for of_claim in zip(*counts, strict=True)]
