"""Arms by windows of time: keys that change arms between windows, where an arm may act on after its end.

Stage: sums by key and window -> **contrast** and **p-value of re-draws** -> difference. For one look alone.

A window counts for an arm only if it and the `carried` windows before it had that arm, for only then is its
outcome the arm's own. It stands for those that had the arm by chance only: it counts 1 / probability times
(Horvitz-Thompson). Outcomes are fixed; what is random is the arms, each window's drawn on its own.

Source: Bojinov, Simchi-Levi & Zhao 2023, Management Science 69:3759 (arXiv 2009.00148), for the estimator and
the test.
"""

import math
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from meshtrial.stats.contrast import Contrast, Contrasted
from meshtrial.stats.estimate import Comparison, NotEstimable, require_alpha
from meshtrial.stats.fixed import fixed

Array: TypeAlias = npt.NDArray[np.float64]

METHOD: Final = "Horvitz-Thompson over windows, p-value by re-draws"
DRAWS: Final = 10_000
"""Allocations drawn for the p-value."""
LEAST_EXPECTED: Final = 10.0
"""Windows that must be expected to count for each arm: with fewer the estimate is far from normal."""
_AT_ONCE: Final = 4_000_000
"""Numbers held in memory while drawing."""
_ROUNDING: Final = 1e-9
"""Sums that differ by less than this share are the same."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Two arms' windows with all that happened in them, in any order. Windows of further arms are left out.

    All shapes are (windows,); one entry for each key and window.

    Raises:
        ValueError: The shapes differ, a key has a window twice, a number is not finite, a size is below 0, or
            a share is not in (0, 1).
    """

    keys: npt.NDArray[np.int64]
    """Which key, by any number."""
    numbers: npt.NDArray[np.int64]
    """Which window of time; the next one has the next number."""
    treated: npt.NDArray[np.bool_]
    """Whether the window had the treatment."""
    shares: Array
    """The chance that it had the treatment rather than control, in (0, 1)."""
    sums: Array
    """Of the metric, or of a ratio's numerators."""
    sizes: Array
    """What sums are divided by: 1 for the mean over windows, or the sums of a ratio's denominators. Taken
    for given: no arm may change them by much."""

    def __post_init__(self) -> None:
        columns = (self.numbers, self.treated, self.shares, self.sums, self.sizes)
        if self.keys.ndim != 1 or any(column.shape != self.keys.shape for column in columns):
            raise ValueError("there must be one key, number, arm, share, sum and size a window")
        if not (
            np.all(np.isfinite(self.sums)) and np.all(np.isfinite(self.sizes)) and np.all(self.sizes >= 0)
        ):
            raise ValueError("sums and sizes must be finite, and sizes 0 or more")
        if not np.all((self.shares > 0) & (self.shares < 1)):
            raise ValueError("shares must be above 0 and below 1")
        if len(np.unique(np.column_stack([self.keys, self.numbers]), axis=0)) != len(self.keys):
            raise ValueError("a key has each window once")


def carried_windows(carryover: float, window: float) -> int:
    """How many windows before its own an outcome may depend on.

    Args:
        carryover: Seconds for which an arm may go on to act after its window has ended, 0 or more.
        window: Seconds, above 0.
    """
    return math.ceil(carryover / window)


def compare_switchback(
    windows: Windows, carried: int, alpha: float, generator: np.random.Generator
) -> Comparison:
    """Treatment against control, with the p-value of re-draws and the contrast's normal interval.

    The test is exact whatever the outcomes are, the interval is for large samples. So near alpha it may be
    that one of them finds an effect and the other does not: the p-value is what a verdict is for.

    Args:
        windows: Of both arms.
        carried: Windows that an arm may act on after its own, 0 or more (`carried_windows`).
        alpha: Two-sided error rate of the interval, in (0, 0.5).
        generator: What allocations are drawn from; one with a fixed seed tells the same twice.

    Raises:
        ValueError: A parameter is out of range.
    """
    require_alpha(alpha)
    found = fixed(switchback_contrast(windows, carried), alpha)
    if isinstance(found, NotEstimable):
        return found
    p_value = randomisation_p_value(windows, carried, generator)
    return p_value if isinstance(p_value, NotEstimable) else replace(found, p_value=p_value)


def switchback_contrast(windows: Windows, carried: int) -> Contrasted:
    """Difference of the arms' values (Horvitz-Thompson), with its error over all allocations.

    Outcomes are first centred: what all windows share would else weigh in by how many happen to count for
    each arm. Each window's centre is the mean over all windows of whatever arm that do not overlap with it,
    so that its arm has no part in it, and the estimate has no bias.

    The variance is that of the estimate over allocations if the effect is what was estimated and the same in
    all windows. It uses every window's outcome, counted or not, and is then no smaller than the true one,
    since the outcomes' spread has the effect's in it.

    The units of the contrast are the windows that count for each arm. The arms' errors are dependent, and
    scaled so that together they are the effect's.

    Refused where under `LEAST_EXPECTED` windows are expected to count for an arm.

    Args:
        windows: Of both arms.
        carried: Windows that an arm may act on after its own, 0 or more.

    Raises:
        ValueError: `carried` is below 0.
    """
    runs = _runs(windows, carried)
    if isinstance(runs, NotEstimable):
        return runs
    value, base = float(runs.estimate(runs.treated)), float(runs.control_gap(runs.treated))
    of_control, of_treatment, whole = runs.variances(value)
    if whole <= (_ROUNDING * runs.centre) ** 2:
        return NotEstimable("the outcomes do not vary between windows, or by no more than rounding")
    scale = whole / (of_control + of_treatment)
    return Contrast(
        METHOD,
        runs.centre + base,
        value,
        math.sqrt(scale * of_control),
        math.sqrt(scale * of_treatment),
        math.inf,
        int(np.sum(runs.counting(~runs.treated) & runs.known)),
        int(np.sum(runs.counting(runs.treated) & runs.known)),
    )


def randomisation_p_value(
    windows: Windows, carried: int, generator: np.random.Generator, draws: int = DRAWS
) -> float | NotEstimable:
    """How often other allocations would show as large an effect, had the arms none on any window, 0..1.

    Without an effect the outcomes would be the same whatever the allocation, and so is their centre. Each
    window's arm is drawn anew with its share. The allocation made counts as one of them, which makes
    the test exact with any number of draws.

    Args:
        windows: Of both arms.
        carried: Windows that an arm may act on after its own, 0 or more.
        generator: What allocations are drawn from.
        draws: 1 or more.

    Raises:
        ValueError: `carried` is below 0 or `draws` below 1.

    Source: Bojinov, Simchi-Levi & Zhao 2023, Management Science 69:3759; Phipson & Smyth 2010,
    Statistical Applications in Genetics and Molecular Biology 9:39, for counting the one made.
    """
    if draws < 1:
        raise ValueError(f"draws must be 1 or more, not {draws}")
    runs = _runs(windows, carried)
    if isinstance(runs, NotEstimable):
        return runs
    least = abs(float(runs.estimate(runs.treated))) * (1 - _ROUNDING)
    as_large, at_once = 0, max(1, _AT_ONCE // len(runs.shares))
    for first in range(0, draws, at_once):
        drawn = generator.random((min(at_once, draws - first), len(runs.shares))) < runs.shares
        as_large += int(np.count_nonzero(np.abs(runs.estimate(drawn)) >= least))
    return (1 + as_large) / (1 + draws)


@dataclass(frozen=True, slots=True)
class _Runs:
    """Windows in order, key by key. A window is known where its predecessors are those right before it.

    What is "of candidates" has shape (windows - carried,): all windows in order but the first few, with zeros
    for those not known.
    """

    carried: int
    treated: npt.NDArray[np.bool_]
    """Shape (windows,)."""
    shares: Array
    """Shape (windows,)."""
    known: npt.NDArray[np.bool_]
    """Of candidates."""
    centre: float
    """What outcomes are centred at, on average."""
    gaps: Array
    """sum - centre x size of candidates, by the sizes of all that are known."""
    sizes: Array
    """Of candidates, as shares of all that are known."""

    def counting(self, arm: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Which candidates had an arm throughout, of (..., windows) that say which windows had it."""
        counted = arm[..., self.carried :].copy()
        for back in range(1, self.carried + 1):
            counted &= arm[..., self.carried - back : -back]
        return counted

    def chances(self, shares: Array, overlap: int = 0) -> Array:
        """Of one arm in all windows that a candidate and the one `overlap` before it both depend on."""
        last = len(shares) - self.carried
        back = range(overlap, self.carried + 1)
        chances: Array = np.prod([shares[self.carried - i : self.carried - i + last] for i in back], axis=0)
        return chances

    def estimate(self, treated: npt.NDArray[np.bool_]) -> Array:
        """Treatment less control for these outcomes and allocations (..., windows)."""
        for_treatment: Array = self.counting(treated) @ (self.gaps / self.chances(self.shares))
        return for_treatment - self.control_gap(treated)

    def control_gap(self, treated: npt.NDArray[np.bool_]) -> Array:
        """Control less the centre."""
        for_control: Array = self.counting(~treated) @ (self.gaps / self.chances(1 - self.shares))
        return for_control

    def variances(self, effect: float) -> tuple[float, float, float]:
        """Of the control's value, of the treatment's and of their difference, with one effect everywhere.

        With T_t for "counts for treatment" and p_t its chance, T_t T_s has the chance that the windows both
        depend on, and those that only one does, have the treatment; so Cov(T_t / p_t, T_s / p_s) is
        1 / chance of the overlap - 1, and 0 without overlap. No window can count for treatment while one that
        overlaps it counts for control: that covariance is -1.
        """
        share = float(np.average(self.shares[self.carried :], weights=self.sizes))
        one, two = self.gaps - share * effect * self.sizes, self.gaps + (1 - share) * effect * self.sizes
        of_control = of_treatment = across = 0.0
        for back in range(self.carried + 1):
            late, early, both = slice(back, None), slice(None, len(one) - back), 1 if back == 0 else 2
            chance0, chance1 = (self.chances(p, back)[late] for p in (1 - self.shares, self.shares))
            of_control += both * float(np.sum(one[late] * one[early] * (1 / chance0 - 1)))
            of_treatment += both * float(np.sum(two[late] * two[early] * (1 / chance1 - 1)))
            across += both * float(np.sum(one[late] * two[early] + two[late] * one[early])) / 2
        return of_control, of_treatment, of_control + of_treatment + 2 * across


def _runs(windows: Windows, carried: int) -> _Runs | NotEstimable:
    if carried < 0:
        raise ValueError(f"carried must be 0 or more, not {carried}")
    order = np.lexsort((windows.numbers, windows.keys))
    keys, numbers = windows.keys[order], windows.numbers[order]
    sums, sizes = windows.sums[order], windows.sizes[order]
    treated, shares = windows.treated[order], windows.shares[order]
    last = max(0, len(keys) - carried)
    known = (keys[carried:] == keys[:last]) & (numbers[carried:] - numbers[:last] == carried)
    counted = np.where(known, sizes[carried:], 0.0)
    whole = counted.sum()
    if whole == 0:
        return NotEstimable(f"no window has the {carried} before it known, or none has outcomes")
    far_sums, far_sizes = (_far(column, keys, numbers, carried)[carried:] for column in (sums, sizes))
    if np.any(known & (far_sizes <= 0)):
        return NotEstimable("there are too few windows apart from one another")
    centres = far_sums / np.where(far_sizes > 0, far_sizes, 1.0) * counted / whole
    gaps = np.where(known, sums[carried:], 0.0) / whole - centres
    runs = _Runs(carried, treated, shares, known, float(centres.sum()), gaps, counted / whole)
    expected = min(float(np.sum(runs.chances(p)[known])) for p in (shares, 1 - shares))
    if expected < LEAST_EXPECTED:
        return NotEstimable(
            f"{expected:.3g} windows are expected to count for an arm, and it takes {LEAST_EXPECTED:g}:"
            f" an arm must hold for {carried + 1} windows in a row"
        )
    return runs


def _far(values: Array, keys: npt.NDArray[np.int64], numbers: npt.NDArray[np.int64], carried: int) -> Array:
    """For each window the sum over those that share no window with it that both depend on."""
    near = values.copy()
    for apart in range(1, carried + 1):
        late, early = slice(apart, None), slice(None, len(values) - apart)
        close = (keys[late] == keys[early]) & (numbers[late] - numbers[early] <= carried)
        near[late] += np.where(close, values[early], 0.0)
        near[early] += np.where(close, values[late], 0.0)
    far: Array = values.sum() - near
    return far
