"""Alpha is shared out and no more, looks to come change nothing, and neither units nor signs matter."""

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from meshtrial.plan.inference import Boundary, Shape
from meshtrial.stats.boundary import exact_bounds, spending_bounds
from meshtrial.stats.contrast import Contrast
from meshtrial.stats.group_sequential import Adjusted, Examined, GroupSequential, Look, Side, adjust, examine
from meshtrial.stats.integration import crossing
from meshtrial.stats.repeated import exact_p_values, sequential_p_values
from meshtrial.stats.spending import spent
from proof import often

EXAMPLES = often(40, 400)

spending = st.one_of(
    st.sampled_from([Boundary(Shape.OBRIEN_FLEMING), Boundary(Shape.POCOCK)]),
    st.floats(-8, 4).map(lambda parameter: Boundary(Shape.HWANG_SHIH_DECANI, parameter)),
)
exact = st.floats(0, 0.5).map(lambda parameter: Boundary(Shape.WANG_TSIATIS, parameter, spending=False))
alphas = st.floats(0.001, 0.2)
deviates = st.floats(-5, 5)


@st.composite
def ascending(draw: st.DrawFn, least: int = 1) -> list[float]:
    """Times of looks, the last one 1."""
    gaps = draw(st.lists(st.floats(0.02, 1), min_size=least, max_size=6))
    return [sum(gaps[: k + 1]) / sum(gaps) for k in range(len(gaps) - 1)] + [1.0]


@st.composite
def courses(draw: st.DrawFn) -> list[Look]:
    """Looks at a trial whose information goes its own way, sometimes backwards."""
    looks = []
    for time in draw(ascending()):
        z, error = draw(deviates), math.sqrt(1 / time) * draw(st.floats(0.8, 1.25))
        freedom = draw(st.sampled_from([math.inf, 12.0, 400.0]))
        units = round(10_000 * time)
        looks.append(Look(Contrast("test", 5.0, z * error, error, error, freedom, units, units), time))
    return looks


def examined(rule: GroupSequential, looks: list[Look]) -> list[Examined]:
    return [look for look in examine(rule, looks) if isinstance(look, Examined)]


def adjusted(rule: GroupSequential, looks: list[Look]) -> Adjusted:
    found = adjust(rule, looks)
    assert isinstance(found, Adjusted)
    return found


@settings(max_examples=EXAMPLES)
@given(spending, alphas, ascending(), st.data())
def test_what_is_spent_adds_up_to_alpha_whatever_the_information(
    boundary: Boundary, alpha: float, times: list[float], data: st.DataObject
) -> None:
    information = [data.draw(st.floats(1e-3, 1e3))]
    for _ in times[1:]:
        information.append(information[-1] * data.draw(st.floats(1.01, 30)))
    bounds = spending_bounds(boundary, alpha, times, information)

    below, above = crossing(information, (-bounds.z).tolist(), bounds.z.tolist())

    assert bounds.spent[-1] == pytest.approx(alpha, rel=1e-9)
    assert 2 * above.cumsum() == pytest.approx(bounds.spent, abs=1e-10)
    assert below == pytest.approx(above, abs=1e-12)
    assert bounds.spent == pytest.approx([2 * spent(boundary, alpha / 2, t) for t in times], abs=1e-11)


@settings(max_examples=EXAMPLES)
@given(exact, alphas, ascending())
def test_exact_bounds_spend_alpha_and_never_rise(
    boundary: Boundary, alpha: float, times: list[float]
) -> None:
    bounds = exact_bounds(boundary, alpha, times)

    assert bounds.spent[-1] == pytest.approx(alpha, abs=1e-9)
    assert all(early >= late - 1e-12 for early, late in zip(bounds.z, bounds.z[1:], strict=False))


@settings(max_examples=EXAMPLES)
@given(spending, alphas, ascending(2), st.data())
def test_bounds_do_not_depend_on_later_looks(
    boundary: Boundary, alpha: float, times: list[float], data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, len(times) - 1))

    assert spending_bounds(boundary, alpha, times[:k]).z.tolist() == pytest.approx(
        spending_bounds(boundary, alpha, times).z[:k].tolist(), abs=1e-12
    )


@settings(max_examples=EXAMPLES)
@given(spending, alphas, ascending(), st.floats(1e-12, 1e12))
def test_the_unit_of_information_does_not_matter(
    boundary: Boundary, alpha: float, times: list[float], unit: float
) -> None:
    here = spending_bounds(boundary, alpha, times)
    there = spending_bounds(boundary, alpha, times, [unit * time for time in times])

    assert there.z == pytest.approx(here.z, abs=1e-8)


@settings(max_examples=EXAMPLES)
@given(spending, alphas, courses(), st.floats(1e-6, 1e6))
def test_the_unit_of_the_metric_does_not_matter_and_swapping_arms_turns_the_sign(
    boundary: Boundary, alpha: float, looks: list[Look], unit: float
) -> None:
    rule = GroupSequential(alpha, boundary)
    scaled = []
    for look in looks:
        c = look.contrast
        assert isinstance(c, Contrast)
        errors = unit * c.control_error, unit * c.treatment_error
        scaled.append(
            Look(
                Contrast(
                    c.method,
                    c.control,
                    -unit * c.effect,
                    *errors,
                    c.freedom,
                    c.control_units,
                    c.treatment_units,
                ),
                look.time,
            )
        )

    for ours, theirs in zip(examined(rule, looks), examined(rule, scaled), strict=True):
        assert theirs.z == pytest.approx(-ours.z)
        assert theirs.bound == pytest.approx(ours.bound)
        assert theirs.p_value == pytest.approx(ours.p_value, rel=1e-5)
    ours_adjusted, theirs_adjusted = adjusted(rule, looks), adjusted(rule, scaled)
    assume(abs(abs(ours_adjusted.p_value - alpha)) > 1e-6)
    assert theirs_adjusted.p_value == pytest.approx(ours_adjusted.p_value, rel=1e-6)
    assert theirs_adjusted.interval.low == pytest.approx(
        -unit * ours_adjusted.interval.high, rel=1e-5, abs=1e-6 * unit
    )


@settings(max_examples=EXAMPLES)
@given(spending, st.floats(0.001, 0.3), courses())
def test_a_sequential_p_value_is_at_most_alpha_if_and_only_if_a_bound_was_crossed(
    boundary: Boundary, alpha: float, looks: list[Look]
) -> None:
    found = examined(GroupSequential(alpha, boundary), looks)
    assume(all(abs(abs(look.z) - look.bound) > 1e-6 for look in found))

    for k, look in enumerate(found):
        assert (look.p_value <= alpha) is any(early.crossed for early in found[: k + 1])
        assert look.p_value <= (found[k - 1].p_value if k else 1)


@settings(max_examples=EXAMPLES)
@given(exact, st.floats(0.001, 0.3), ascending(), st.lists(deviates, min_size=6, max_size=6))
def test_an_exact_sequential_p_value_agrees_with_its_bounds(
    boundary: Boundary, alpha: float, times: list[float], z: list[float]
) -> None:
    z = z[: len(times)]
    bounds = exact_bounds(boundary, alpha, times).z.tolist()
    assume(all(abs(abs(value) - bound) > 1e-6 for value, bound in zip(z, bounds, strict=True)))

    found = exact_p_values(boundary, times, range(len(z)), z)

    crossed = False
    for value, bound, p_value in zip(z, bounds, found, strict=True):
        crossed = crossed or abs(value) >= bound
        assert (p_value <= alpha) is crossed


@settings(max_examples=EXAMPLES)
@given(spending, ascending(), st.lists(st.floats(0, 5), min_size=6, max_size=6), st.data())
def test_more_of_an_effect_is_no_larger_a_p_value(
    boundary: Boundary, times: list[float], z: list[float], data: st.DataObject
) -> None:
    z = z[: len(times)]
    k = data.draw(st.integers(0, len(z) - 1))
    more = [value + (0.5 if place == k else 0) for place, value in enumerate(z)]

    for here, there in zip(
        sequential_p_values(boundary, times, times, z),
        sequential_p_values(boundary, times, times, more),
        strict=True,
    ):
        assert there <= here * (1 + 1e-6)


@settings(max_examples=EXAMPLES)
@given(spending, alphas, courses())
def test_the_adjusted_interval_leaves_out_no_effect_if_and_only_if_a_bound_was_crossed(
    boundary: Boundary, alpha: float, looks: list[Look]
) -> None:
    rule = GroupSequential(alpha, boundary)
    found, stopped = examined(rule, looks), adjusted(rule, looks)
    assume(all(abs(abs(look.z) - look.bound) > 1e-6 for look in found))

    at = found[stopped.look]
    assert stopped.interval.low < stopped.estimate < stopped.interval.high
    assert (stopped.interval.low > 0) is (at.crossed is Side.ABOVE)
    assert (stopped.interval.high < 0) is (at.crossed is Side.BELOW)
    assert (stopped.p_value <= alpha) is (at.crossed is not None)
