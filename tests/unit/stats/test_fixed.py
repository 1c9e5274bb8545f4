import math

import pytest
from scipy.stats import norm, t

from meshtrial.stats.contrast import Contrast
from meshtrial.stats.estimate import Difference, NotEstimable
from meshtrial.stats.fixed import fixed, fixed_critical, fixed_p_value


def contrast(effect: float, freedom: float = math.inf) -> Contrast:
    return Contrast("test", 10.0, effect, 0.3, 0.4, freedom, 50, 50)


@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.4])
@pytest.mark.parametrize("freedom", [1.0, 7.5, 1e6, math.inf])
def test_the_interval_and_the_p_value_are_students_and_the_normals(alpha: float, freedom: float) -> None:
    law = norm if math.isinf(freedom) else t(freedom)
    one = contrast(1.2, freedom)
    found = fixed(one, alpha)
    assert isinstance(found, Difference)
    assert fixed_critical(one, alpha) == pytest.approx(law.isf(alpha / 2))
    assert found.interval.low == pytest.approx(1.2 - 0.5 * law.isf(alpha / 2))
    assert found.interval.high == pytest.approx(1.2 + 0.5 * law.isf(alpha / 2))
    assert found.p_value == fixed_p_value(one) == pytest.approx(2 * law.sf(1.2 / 0.5))


def test_the_p_value_is_two_sided() -> None:
    assert fixed_p_value(contrast(-1.2, 9.0)) == fixed_p_value(contrast(1.2, 9.0))
    assert fixed_p_value(contrast(0.0)) == 1


def test_a_p_value_far_out_keeps_its_digits() -> None:
    assert fixed_p_value(contrast(15.0)) == pytest.approx(2 * norm.sf(30), rel=1e-9)


def test_what_is_not_estimable_stays_so_and_a_wrong_alpha_is_refused_first() -> None:
    refused = NotEstimable("because")
    assert fixed(refused, 0.05) is refused
    with pytest.raises(ValueError, match=r"^alpha must be above 0 and below 0\.5"):
        fixed(refused, 0.5)
