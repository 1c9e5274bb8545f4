"""Effects from what a client did, by code that shares nothing with the analysis: numpy on one row a unit.

Of the store only the time of each unit's first exposure is taken, which says the day that it is compared in.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import stats

from meshtrial.store.read import connect

Numbers = npt.NDArray[np.float64]
LEAST_OF_A_DAY = 50
"""As docs/report.md has it: days with fewer units in some arm join the next one."""


def first_exposures(store: Path, experiment: str) -> dict[str, int]:
    """Nanoseconds since 1970 by pseudonym."""
    with connect(store) as connection:
        found = connection.execute(
            "SELECT SpanAttributes['feature_flag.context.id'], min(epoch_ns(Timestamp)) FROM otel_traces"
            " WHERE SpanName = 'meshtrial.exposure' AND Experiment = ? GROUP BY ALL",
            [experiment],
        ).fetchall()
    return dict(found)


@dataclass(frozen=True, slots=True)
class Compared:
    """Units of two arms, one row each."""

    treated: npt.NDArray[np.bool_]
    stratum: npt.NDArray[np.int64]

    @classmethod
    def of(cls, treated: Sequence[bool], first: Sequence[int], day: int) -> "Compared":
        """Units by the days of their first exposure, days of `day` nanoseconds with enough of them."""
        arm, days = np.array(treated), np.array(first) // day
        stratum = np.zeros(len(arm), np.int64)
        number, opened = 0, []
        for one in np.unique(days):
            opened.append(one)
            within = np.isin(days, opened)
            stratum[within] = number
            if min(arm[within].sum(), (~arm[within]).sum()) >= LEAST_OF_A_DAY:
                number, opened = number + 1, []
        stratum[stratum == number] = max(0, number - 1)
        return cls(arm, stratum)

    def means(self, values: Numbers) -> tuple[float, float]:
        """Of control and treatment, strata weighed by n1 n0 / (n1 + n0)."""
        weights = self._precisions()
        control, treatment = (
            float(np.average([values[of_one & arm].mean() for of_one in self._strata()], weights=weights))
            for arm in (~self.treated, self.treated)
        )
        return control, treatment

    def effect(self, values: Numbers) -> float:
        """Difference of the means."""
        control, treatment = self.means(values)
        return treatment - control

    def chi_squared(self, values: Numbers) -> float:
        """p-value of no difference between shares, the variance pooled in each stratum (Cochran 1954)."""
        chances = [values[of_one].mean() for of_one in self._strata()]
        spread = [chance * (1 - chance) for chance in chances]
        precision = self._precisions()
        z = self.effect(values) * sum(precision) / math.sqrt(np.dot(precision, spread))
        return float(stats.chi2.sf(z**2, 1))

    def welch(self, values: Numbers, alpha: float) -> tuple[float, float, float]:
        """p-value and interval of a difference of means (Welch 1938), over strata by Satterthwaite 1946."""
        precision = self._precisions()
        parts, terms = 0.0, 0.0
        for share, of_one in zip(precision / precision.sum(), self._strata(), strict=True):
            for arm in (self.treated, ~self.treated):
                part = share**2 * values[of_one & arm].var(ddof=1) / (of_one & arm).sum()
                parts, terms = parts + part, terms + part**2 / ((of_one & arm).sum() - 1)
        t = stats.t(parts**2 / terms, loc=self.effect(values), scale=math.sqrt(parts))
        low, high = t.interval(1 - alpha)
        return 2 * min(float(t.cdf(0)), float(t.sf(0))), float(low), float(high)

    def ratio(self, numerators: Numbers, denominators: Numbers) -> float:
        """Difference of the ratios of means."""
        (x0, x1), (y0, y1) = self.means(numerators), self.means(denominators)
        return x1 / y1 - x0 / y0

    def cuped(self, values: Numbers, before: Numbers) -> float:
        """Difference of the means less what a covariate explains, by least squares within strata and arms."""
        constants = [of_one & arm for of_one in self._strata() for arm in (self.treated, ~self.treated)]
        design = np.column_stack([before, *constants])
        slope = np.linalg.lstsq(design, values, rcond=None)[0][0]
        return self.effect(values - slope * before)

    def _precisions(self) -> Numbers:
        """n1 n0 / (n1 + n0) of each stratum."""
        sizes = [((of_one & ~self.treated).sum(), (of_one & self.treated).sum()) for of_one in self._strata()]
        return np.array([n0 * n1 / (n0 + n1) for n0, n1 in sizes])

    def _strata(self) -> list[npt.NDArray[np.bool_]]:
        return [self.stratum == number for number in np.unique(self.stratum)]


def column(rows: Sequence[Mapping[str, float]], name: str) -> Numbers:
    """One variable of all units, 0 where a unit has none."""
    return np.array([row.get(name, 0.0) for row in rows], np.float64)
