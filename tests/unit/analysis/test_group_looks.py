"""What a group-sequential trial says once it stopped, and of the looks to come."""

import pytest
from scipy import stats

from hand_made_looks import EXACT, SPENDING, looks
from meshtrial.analysis.group_looks import chance_to_find, stopped_at
from meshtrial.analysis.measured import LookedAt
from meshtrial.stats.contrast import Contrasted


def contrasts(seen: list[LookedAt]) -> list[Contrasted]:
    return [looked.measured["sales", "v2"].contrast for looked in seen]


def test_stopped_at_the_first_look_nothing_is_to_be_corrected() -> None:
    seen = looks("sales", [(0.5, 0.1)])

    found = stopped_at(SPENDING, seen, contrasts(seen), 0.05)

    assert found is not None
    assert found.p_value == pytest.approx(2 * stats.norm.sf(5), rel=1e-3)
    assert (found.estimate, found.interval.low) == pytest.approx((0.5, 0.5 - 0.1 * 1.959964), abs=1e-6)


def test_stopped_later_the_estimate_is_drawn_towards_0() -> None:
    seen = looks("sales", [(0.1, 0.2), (0.5, 0.14)])

    found = stopped_at(SPENDING, seen, contrasts(seen), 0.05)

    assert found is not None
    assert 0.4 < found.estimate < 0.5
    assert found.p_value < 0.05


def test_what_crossed_its_bound_before_the_trial_stopped_is_not_corrected() -> None:
    seen = looks("sales", [(0.9, 0.2), (0.5, 0.14)])

    assert stopped_at(SPENDING, seen, contrasts(seen), 0.05) is None


def test_the_chance_of_the_last_look_is_that_of_the_rest_of_the_sample() -> None:
    """After three of four looks: the z of the last is a mean of what is known and a normal rest."""
    seen = looks("sales", [(0.2, 0.2), (0.2, 0.2 / 2**0.5), (0.2, 0.2 / 3**0.5)])

    found = chance_to_find(EXACT, seen, contrasts(seen), 0.05, 0.3)

    now, bound = 0.2 / (0.2 / 3**0.5), 2.0243
    mean = now * 0.75**0.5 + 0.25 * 0.3 / 0.1
    above = stats.norm.sf((bound - mean) / 0.5) + stats.norm.cdf((-bound - mean) / 0.5)
    assert found == pytest.approx(above, abs=1e-3)


def test_after_the_last_look_nothing_is_to_be_found() -> None:
    seen = looks("sales", [(0.1, 0.2)] * 4)

    assert chance_to_find(SPENDING, seen, contrasts(seen), 0.05, 0.3) is None
