"""What two arms are compared within, and how much each part counts."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshtrial.analysis.cells import Clock, Counts, Key
from meshtrial.analysis.strata import LEAST_OF_A_DAY, Strata, strata_of

HOUR = 3600 * 10**9
CLOCK = Clock(HOUR)
DAY = 24 * HOUR


def counts(*cells: tuple[int, str, str, int, int]) -> dict[Key, int]:
    """Units by (day, phase, cohort, of control, of treatment), at the seventh hour of the day."""
    found = {}
    for day, phase, cohort, control, treatment in cells:
        for arm, units in (("v1", control), ("v2", treatment)):
            found[Key(day * DAY + 7 * HOUR, phase, cohort, arm)] = units
    return found


def strata(units: Counts) -> Strata:
    return strata_of(units, "v1", "v2", CLOCK)


def test_days_weigh_by_what_they_tell() -> None:
    found = strata(counts((1, "p", "default", 100, 100), (2, "p", "default", 300, 100)))

    assert found.of_day == {("p", "default", DAY): 0, ("p", "default", 2 * DAY): 1}
    assert found.weights == pytest.approx((50 / 125, 75 / 125))  # n1 n0 / (n1 + n0): 50 and 75


def test_small_days_join_their_neighbours_and_the_rest_the_last_stratum() -> None:
    days = [(1, 30, 30), (2, 20, 20), (3, 50, 50), (4, 49, 400), (5, 1, 1), (6, 3, 3)]
    found = strata(counts(*((day, "p", "default", c, t) for day, c, t in days)))

    numbers = [found.of_day["p", "default", day * DAY] for day, _, _ in days]
    assert numbers == [0, 0, 1, 2, 2, 2]


def test_cohorts_weigh_by_their_units_and_phases_by_what_they_tell() -> None:
    found = strata(
        counts(
            (1, "p", "default", 500, 500),
            (1, "p", "enterprise", 900, 100),
            (2, "q", "default", 800, 800),
            (2, "q", "enterprise", 540, 60),
        )
    )

    weights = found.of_cohort()
    assert sum(weights.values()) == pytest.approx(1)
    assert weights["p", "default"] == pytest.approx(weights["p", "enterprise"])  # 1,000 units each
    assert weights["q", "default"] / weights["q", "enterprise"] == pytest.approx(1600 / 600)
    of_p = weights["p", "default"] + weights["p", "enterprise"]
    assert of_p == pytest.approx((250 + 90) / (250 + 90 + 400 + 54))


def test_a_cohort_with_too_few_units_in_an_arm_is_left_out_and_named() -> None:
    found = strata(counts((1, "p", "default", 60, 60), (1, "p", "enterprise", 400, 1)))

    assert found.left_out == (("p", "enterprise"),)
    assert found.weights == (1.0,)
    assert found.of(Key(DAY, "p", "enterprise", "v1"), CLOCK) is None
    assert found.of(Key(DAY + 5 * HOUR, "p", "default", "v1", ("IN",)), CLOCK) == 0


def test_units_of_other_arms_count_for_the_size_of_a_cohort_alone() -> None:
    units = counts((1, "p", "default", 100, 100), (1, "p", "enterprise", 100, 100))
    units[Key(DAY, "p", "enterprise", "v3")] = 200

    weights = strata(units).of_cohort()

    assert weights["p", "enterprise"] / weights["p", "default"] == pytest.approx(400 / 200)


cells = st.dictionaries(
    st.builds(
        Key,
        st.integers(0, 100).map(lambda hour: hour * HOUR),
        st.sampled_from(["p", "q"]),
        st.sampled_from(["default", "enterprise"]),
        st.sampled_from(["v1", "v2", "v3"]),
    ),
    st.integers(0, 200),
    max_size=40,
)


@given(cells, st.randoms(use_true_random=False))
def test_strata_hold_every_unit_that_counts_once(units: dict[Key, int], chance: random.Random) -> None:
    found = strata(units)

    shuffled = list(units)
    chance.shuffle(shuffled)
    assert strata({key: units[key] for key in shuffled}) == found
    if found.weights:
        assert sum(found.weights) == pytest.approx(1)
        assert min(found.weights) > 0
    pairs = [[0, 0] for _ in found.weights]
    for key, number in units.items():
        stratum = found.of(key, CLOCK)
        assert (stratum is None) == ((key.phase, key.cohort) in found.left_out)
        if stratum is not None and key.arm != "v3":
            pairs[stratum][key.arm == "v2"] += number
    assert all(min(pair) >= 2 for pair in pairs)
    of_cohort: dict[tuple[str, str], list[int]] = {}
    for (phase, cohort, _), number in found.of_day.items():
        of_cohort.setdefault((phase, cohort), []).append(number)
    for numbers in of_cohort.values():
        if len(set(numbers)) > 1:
            assert all(min(pairs[number]) >= LEAST_OF_A_DAY for number in numbers)


def test_a_thin_cohort_is_left_out_beside_a_full_one() -> None:
    for thin, left_out in ((49, (("p", "enterprise"),)), (50, ())):
        found = strata(counts((1, "p", "default", 600, 600), (1, "p", "enterprise", 400, thin)))

        assert found.left_out == left_out


def test_a_thin_phase_is_left_out_beside_a_full_one() -> None:
    found = strata(counts((1, "p", "default", 990, 10), (2, "q", "default", 500, 500)))

    assert found.left_out == (("p", "default"),)


def test_days_of_a_cohort_that_is_not_thin_are_counted_together() -> None:
    found = strata(counts((1, "p", "a", 600, 600), (1, "p", "b", 400, 25), (2, "p", "b", 400, 25)))

    assert found.left_out == ()


def test_where_all_cohorts_are_thin_they_stay_and_few_units_count_for_few() -> None:
    found = strata(counts((1, "p", "a", 40, 40), (1, "p", "b", 990, 10), (1, "p", "c", 30, 1)))

    assert found.left_out == (("p", "c"),)
    assert found.weights == pytest.approx((20 / 29.9, 9.9 / 29.9))


def test_a_trial_of_20_units_is_one_stratum() -> None:
    assert strata(counts((1, "p", "default", 10, 10))).weights == (1.0,)
