"""Ratio of two sums, as clicks by impressions, with units that bring many of both; linearised.

A ratio R = x / y of an arm's means moves with a unit as (x_i - R y_i) / mean(y) does. R + that is a number a
unit whose mean is R and whose spread is the ratio's, and everything that works for means goes on from there:
contrasts, strata, covariates.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np

from meshtrial.stats.contrast import LEAST_UNITS, Contrasted
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.joint import Joint
from meshtrial.stats.moments import mean_contrast

METHOD: Final = "ratio of means, delta method"
LEAST_CERTAINTY: Final = 5.0
"""Standard errors that a mean denominator must be away from 0, so that the ratio is nearly linear in both.

Simulated intervals of 95% cover 94% there, and 91% at 3.
"""

Strata: TypeAlias = Sequence[tuple[float, Joint, Joint]]
"""Weights, above 0, of which only the ratios count, each with control's and treatment's sums."""


def ratio_contrast(control: Joint, treatment: Joint) -> Contrasted:
    """Difference of two ratios of means.

    Args:
        control: Of each unit numerator and denominator.
        treatment: The same; no unit is in both.

    Source: Deng, Knoblich & Lu 2018, KDD (arXiv 1803.06336), section 3.
    """
    linear = linearised([(1.0, control, treatment)])
    if isinstance(linear, NotEstimable):
        return linear
    [(_, one, other)] = linear
    found = mean_contrast(one.linear([1.0]), other.linear([1.0]))
    return found if isinstance(found, NotEstimable) else replace(found, method=METHOD)


def linearised(strata: Strata) -> Strata | NotEstimable:
    """Pairs of variables, numerator and denominator, to one variable a pair, whose mean is the ratio.

    The ratio is that of an arm's weighted means over all strata (Cochran 1977, Sampling Techniques, 3rd
    edition, section 6.11, the combined estimator). One of each stratum would be biased in each, and undefined
    where nobody brought a denominator. So only the weighted mean over the strata is the arm's ratio.

    Refused where a mean denominator is 0 or not far enough away from it (`LEAST_CERTAINTY`). A pair from
    before exposure of which that is true is made 0 for every unit: as a covariate it then explains nothing.

    Args:
        strata: Of variables (numerator, denominator), and then any number of such pairs from before exposure.
            One stratum or more, with units of both arms in each.

    Raises:
        ValueError: The number of variables is odd.
    """
    if not strata:
        return NotEstimable("there is no stratum with units of both arms")
    weights = [weight for weight, _, _ in strata]
    controls = linearised_arm(weights, [control for _, control, _ in strata])
    treatments = linearised_arm(weights, [treatment for _, _, treatment in strata])
    if isinstance(controls, NotEstimable):
        return NotEstimable(f"control: {controls.reason}")
    if isinstance(treatments, NotEstimable):
        return NotEstimable(f"treatment: {treatments.reason}")
    return list(zip(weights, controls, treatments, strict=True))


def linearised_arm(weights: Sequence[float], samples: Sequence[Joint]) -> list[Joint] | NotEstimable:
    """What `linearised` is, of one arm alone.

    Args:
        weights: Above 0, one a stratum; only their ratios count.
        samples: One a stratum, one or more.

    Raises:
        ValueError: The number of variables is odd.
    """
    shares = np.array(weights) / sum(weights)
    variables = samples[0].variables
    if variables % 2:
        raise ValueError(f"numerators and denominators must come in pairs, not {variables} variables")
    if any(sample.units < LEAST_UNITS for sample in samples):
        return NotEstimable(f"a variance needs {LEAST_UNITS} units or more, and a stratum has fewer")
    means = shares @ np.array([np.array(s.shifts) + s.gaps() for s in samples])
    spreads = np.array([s.scatter().diagonal() / (s.units * (s.units - 1)) for s in samples])
    errors = np.sqrt(shares**2 @ spreads)
    matrix, ratios = np.zeros((variables // 2, variables)), np.zeros(variables // 2)
    for pair in range(variables // 2):
        x, y = 2 * pair, 2 * pair + 1
        if means[y] != 0 and abs(means[y]) >= LEAST_CERTAINTY * errors[y]:
            ratios[pair] = means[x] / means[y]
            matrix[pair, x], matrix[pair, y] = 1 / means[y], -ratios[pair] / means[y]
        elif pair == 0:
            return NotEstimable("the denominators are 0, or too few or too different for a ratio to be told")
    return [sample.mapped(matrix, means, ratios) for sample in samples]
