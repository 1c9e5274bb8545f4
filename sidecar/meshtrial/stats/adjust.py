"""Means less what covariates from before the exposure explain: the same effect with a smaller error.

Stage: sums by stratum and arm -> **slopes** (over all strata) -> **contrast** (of each stratum) -> combine.

A covariate measured before a unit saw an arm has the same mean in both arms but for chance. What the arms
differ by in it, times its slope on the outcome, is therefore chance too, and is taken off.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from meshtrial.stats.contrast import Contrast, Contrasted
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.joint import Array, Joint
from meshtrial.stats.moments import RESOLUTION, mean_contrast

CUPED: Final = "CUPED"
REGRESSION: Final = "regression adjustment"
LEAST_FREEDOM: Final = 20
"""Residual degrees of freedom from which on slopes are fitted, in each arm where each has its own."""
COLLINEAR: Final = 1e-7
"""Share of a covariate's variance that the ones before it must leave unexplained, so that it is used."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What an arm is adjusted with."""

    slopes: tuple[float, ...]
    """One a covariate, in the outcome's unit by the covariate's; 0 where it is not used."""
    inflation: float = 1.0
    """What a residual variance is multiplied with, since the slopes were fitted to the same units: 1 or more.

    f / (f - k) for the k residuals that the fit takes up (f degrees of freedom without it), and
    1 + s k / (f - k - 1) for the error of the slopes times the arms' chance difference in the covariates. The
    latter is the mean over allocations for normal covariates: an arm's mean is off the centre with variance
    s Sx / n, and a Wishart matrix of f degrees of freedom has the mean inverse 1 / (f - k - 1).
    """
    noise: float = 0.0
    """What b' Sx b is larger by, on average, than for true slopes: k / (f - k - 1) residual variances."""


@dataclass(frozen=True, slots=True)
class Slopes:
    """How outcomes move with covariates, fitted to all strata."""

    method: str
    control: Fit
    treatment: Fit
    unused: tuple[int, ...] = ()
    """Covariates, from 0, that do not vary, or that the ones before them make up: as good as not measured."""


Sloped: TypeAlias = Slopes | NotEstimable


def cuped_slopes(groups: Sequence[Joint]) -> Sloped:
    """One slope a covariate for both arms, from covariances within groups pooled over all of them.

    Args:
        groups: Of variables (outcome, covariates ...); units of one stratum and arm each, or both arms of a
            stratum added up, where the effect then blurs the slope a little.

    Source: Deng, Xu, Kohavi & Walker 2013, WSDM, section 3.2.
    """
    found = _fit(groups, other_share=1.0)
    if isinstance(found, NotEstimable):
        return found
    fit, unused = found
    return Slopes(CUPED, fit, fit, unused)


def lin_slopes(controls: Sequence[Joint], treatments: Sequence[Joint]) -> Sloped:
    """Each arm its own slopes: in large samples never worse than none, which one for both can be.

    Args:
        controls: Of variables (outcome, covariates ...), a sample each stratum.
        treatments: The same.

    Source: Lin 2013, Annals of Applied Statistics 7:295.
    """
    n0, n1 = (sum(sample.units for sample in arm) for arm in (controls, treatments))
    one = _fit(controls, other_share=n1 / max(1, n0 + n1))
    other = _fit(treatments, other_share=n0 / max(1, n0 + n1))
    if isinstance(one, NotEstimable):
        return NotEstimable(f"control: {one.reason}")
    if isinstance(other, NotEstimable):
        return NotEstimable(f"treatment: {other.reason}")
    return Slopes(REGRESSION, one[0], other[0], tuple(sorted({*one[1], *other[1]})))


def adjusted_contrast(control: Joint, treatment: Joint, slopes: Slopes) -> Contrasted:
    """Difference of the means that both arms would have at their common mean of the covariates.

    The variance of an arm is that of its residuals. Where the arms' slopes b0 and b1 differ, the effect
    depends on the covariates' mean, which is known with an error only: (b1 - b0)' Sx (b1 - b0) / n is added
    to the treatment's variance, less what of it is the slopes' own noise; Sx is the covariates' covariance
    within arms and n the units of both.

    The error of that mean itself moves both arms' values alike and is in neither's: it cancels in the effect.
    In a share of control's value it does not quite: the variance lacks the covariates' part of it times the
    share squared, which counts only where an effect is about as large as the value.

    Args:
        control: Of variables (outcome, covariates ...).
        treatment: The same; no unit is in both.
        slopes: Fitted to this stratum and all others.

    Raises:
        ValueError: There is not one slope a covariate.
    """
    b0, b1 = np.array(slopes.control.slopes), np.array(slopes.treatment.slopes)
    if not len(b0) == len(b1) == control.variables - 1 == treatment.variables - 1:
        raise ValueError(f"there must be {control.variables - 1} slopes, not {len(b0)} and {len(b1)}")
    units = control.units + treatment.units
    if units == 0:
        return NotEstimable("control: a variance needs 2 units or more, and the arm has 0")
    means = [np.array(sample.shifts[1:]) + sample.gaps()[1:] for sample in (control, treatment)]
    centre = means[0] + treatment.units / units * (means[1] - means[0])
    origin = np.concatenate([[0.0], centre])
    found = mean_contrast(
        control.linear(np.concatenate([[1.0], -b0]), origin),
        treatment.linear(np.concatenate([[1.0], -b1]), origin),
    )
    if isinstance(found, NotEstimable):
        return found
    of_centre = 0.0
    if (apart := b1 - b0).any():
        within = (control.scatter() + treatment.scatter())[1:, 1:] / (units - 2)
        noise = slopes.control.noise + slopes.treatment.noise
        of_centre = max(0.0, float(apart @ within @ apart) - noise) / units
    return replace(
        found,
        method=f"{found.method}, {slopes.method}",
        control_error=found.control_error * math.sqrt(slopes.control.inflation),
        treatment_error=math.sqrt(found.treatment_error**2 * slopes.treatment.inflation + of_centre),
    )


def variance_removed(plain: Contrast, adjusted: Contrast) -> float:
    """Share of the effect's variance that the covariates took off: as many fewer units would have done.

    Args:
        plain: Without covariates, of the same units.
        adjusted: With them. Where they explain nothing the share may be a little below 0.
    """
    return 1 - (adjusted.error / plain.error) ** 2


def _fit(groups: Sequence[Joint], other_share: float) -> tuple[Fit, tuple[int, ...]] | NotEstimable:
    """Least squares within groups.

    Args:
        groups: With units or without.
        other_share: Of all units that make up the covariates' centre, those beside the arm's own.
    """
    counted = [group for group in groups if group.units]
    if not counted:
        return NotEstimable("the arm has no units")
    variables = counted[0].variables
    scatter, squares = np.zeros((variables, variables)), np.zeros(variables)
    for group in counted:
        scatter += group.scatter()
        squares += group.squares().diagonal()
    slopes, used = _solved(scatter, scatter.diagonal() > RESOLUTION * squares)
    freedom, k = sum(group.units - 1 for group in counted), len(used)
    if k and freedom - k < LEAST_FREEDOM:
        return NotEstimable(f"{LEAST_FREEDOM + k - freedom} units more are needed for slopes of covariates")
    unused = tuple(i for i in range(variables - 1) if i + 1 not in used)
    if k == 0:
        return Fit(slopes), unused
    residual = max(0.0, scatter[0, 0] - scatter[0, 1:] @ slopes) / (freedom - k)
    of_slopes = k / (freedom - k - 1)
    return Fit(slopes, freedom / (freedom - k) * (1 + other_share * of_slopes), residual * of_slopes), unused


def _solved(scatter: Array, varies: npt.NDArray[np.bool_]) -> tuple[tuple[float, ...], list[int]]:
    """Slopes of variable 0 on the others, and which of them are used, in their order."""
    sizes = np.sqrt(np.where(varies, scatter.diagonal(), 1.0))
    correlation = scatter / np.outer(sizes, sizes)
    used: list[int] = []
    for i in range(1, len(sizes)):
        among, beside = correlation[np.ix_(used, used)], correlation[used, i]
        if varies[i] and 1 - beside @ np.linalg.solve(among, beside) > COLLINEAR:
            used.append(i)
    slopes = np.zeros(len(sizes))
    slopes[used] = np.linalg.solve(correlation[np.ix_(used, used)], correlation[used, 0])
    return tuple((slopes * sizes[0] / sizes)[1:].tolist()), used
