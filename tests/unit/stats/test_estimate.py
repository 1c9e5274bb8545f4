import math

import pytest

from meshtrial.stats.estimate import NotEstimable, relative_effect, require_alpha, require_between


def test_the_relative_effect_is_a_share_of_controls_value() -> None:
    assert relative_effect(0.02, 0.16) == 0.125
    assert relative_effect(-3.0, -12.0) == 0.25


@pytest.mark.parametrize("control", [0.0, -0.0, 5e-324])
def test_nothing_is_a_share_of_a_control_at_0(control: float) -> None:
    assert relative_effect(1.0, control) == NotEstimable(
        "the control's value is 0, so nothing can be a share of it"
    )


@pytest.mark.parametrize("alpha", [0, 0.5, 1, -0.05, 5, math.nan, math.inf])
def test_an_alpha_that_no_two_sided_test_has_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match=rf"^alpha must be above 0 and below 0\.5, not {alpha:g}$"):
        require_alpha(alpha)


def test_an_open_end_is_called_finite() -> None:
    with pytest.raises(ValueError, match=r"^sd must be above 0 and finite, not inf$"):
        require_between("sd", math.inf, 0, math.inf)
