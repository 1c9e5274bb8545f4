"""What each metric of each arm says, by the method of the plan."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from hand_made_looks import ANY_TIME, EXACT, FIXED, experiment, guardrail, look, measured, primary, secondary
from meshtrial.analysis.decision import is_harmful, is_within
from meshtrial.analysis.findings import Finding, findings_of, tuned_for
from meshtrial.analysis.measured import LookedAt, Measured
from meshtrial.plan.inference import Covariate, DecisionRule, Direction, Margin, Scale
from meshtrial.plan.model import Arm, Experiment
from meshtrial.stats.boundary import exact_bounds
from meshtrial.stats.estimate import Comparison, Difference, NotEstimable
from meshtrial.stats.proportion import Proportion, proportion_contrast
from meshtrial.stats.stratified import Stratum

NOBODY = replace(measured(0, 1), contrast=NotEstimable("nobody came"))


def told(comparison: Comparison | None) -> Difference:
    assert isinstance(comparison, Difference)
    return comparison


def bounds(comparison: Comparison | None) -> tuple[float, float]:
    return told(comparison).interval.low, told(comparison).interval.high


def one(rule: DecisionRule, looks: list[LookedAt], name: str = "sales") -> Finding:
    return next(f for f in findings_of(experiment(rule), looks) if f.metric.id == name)


def three_arms(rule: DecisionRule) -> Experiment:
    """v2 and v3 against v1."""
    plain = experiment(rule)
    third = Arm("v3", "model-v3", ())
    lanes = tuple(replace(lane, arm=third) for split in plain.splits for lane in split.lanes)
    splits = tuple(replace(split, lanes=(*split.lanes, *lanes)) for split in plain.splits)
    return replace(plain, arms=(*plain.arms, third), splits=splits)


SALES = look({"sales": measured(0.3, 0.1), "visits": measured(0.2, 0.1), "errors": measured(0.1, 0.1)})


def test_alpha_is_shared_by_primaries_and_not_by_guardrails_and_secondaries() -> None:
    rule = replace(
        FIXED,
        primary=(primary("sales"), primary("visits")),
        guardrails=(guardrail("errors", 0.5),),
        secondary=(secondary("ctr"),),
    )
    shown = look({name: measured(0.3, 0.1) for name in ("sales", "visits", "errors", "ctr")})

    found = findings_of(experiment(rule), [shown])

    assert [(f.metric.id, f.alpha) for f in found] == [
        ("sales", 0.025),
        ("visits", 0.025),
        ("errors", 0.05),
        ("ctr", 0.05),
    ]
    for finding in found:
        half = stats.norm.ppf(1 - finding.alpha / 2) * 0.1
        assert bounds(finding.comparison) == pytest.approx((0.3 - half, 0.3 + half))
        assert told(finding.comparison).p_value == pytest.approx(2 * stats.norm.sf(3))


def test_with_gatekeeping_each_primary_has_all_of_alpha() -> None:
    rule = replace(FIXED, primary=(primary("sales"), primary("visits")), gatekeeping=True)

    assert [f.alpha for f in findings_of(experiment(rule), [SALES])] == [0.05, 0.05]


def test_with_gatekeeping_a_p_value_is_the_largest_so_far() -> None:
    rule = replace(FIXED, primary=(primary("visits"), primary("sales")), gatekeeping=True)

    found = findings_of(experiment(rule), [SALES])

    assert [f.adjusted_p for f in found] == pytest.approx([2 * stats.norm.sf(2)] * 2)


def test_several_arms_share_alpha_too() -> None:
    rule = replace(FIXED, primary=(primary("sales"), primary("visits")), guardrails=(guardrail("errors", 1),))
    both = look(
        {"sales": measured(0.3, 0.1), "visits": measured(0.2, 0.1), "errors": measured(0, 1)}, arms="v2 v3"
    )

    found = findings_of(three_arms(rule), [both])

    assert [(f.metric.id, f.arm.id, f.alpha) for f in found] == [
        ("sales", "v2", 0.0125),
        ("sales", "v3", 0.0125),
        ("visits", "v2", 0.0125),
        ("visits", "v3", 0.0125),
        ("errors", "v2", 0.05),
        ("errors", "v3", 0.05),
    ]
    z = stats.norm.ppf(1 - 0.0125)  # to roll back: alpha over arms and guardrails, here 0.025
    assert bounds(found[-1].harm) == pytest.approx((-1 - z, -1 + z))


def test_p_values_are_adjusted_by_role_and_what_is_not_estimable_was_asked_too() -> None:
    names = ("a", "b", "c")
    rule = replace(
        FIXED, primary=tuple(map(primary, names)), secondary=tuple(secondary(n * 2) for n in names)
    )
    effects = {"a": 0.25, "b": 0.1, "aa": 0.25, "bb": 0.21}
    seen = {name: measured(effect, 0.1) for name, effect in effects.items()}

    found = findings_of(experiment(rule), [look({**seen, "c": NOBODY, "cc": NOBODY})])

    for method, own in (("holm", found[:3]), ("fdr_bh", found[3:])):
        p_values = [2 * stats.norm.sf(effects[f.metric.id] / 0.1) for f in own[:2]]
        expected = multipletests([*p_values, 1.0], method=method)[1]
        assert [f.adjusted_p for f in own[:2]] == pytest.approx(expected[:2])
        assert own[2].adjusted_p is None
        assert own[2].comparison == NotEstimable("nobody came")


@pytest.mark.parametrize("scale", list(Scale))
def test_a_guardrail_is_tested_beyond_its_margin(scale: Scale) -> None:
    """Up is worse: the margin is added to control's value, and with a share control's error grows by it."""
    rule = replace(FIXED, guardrails=(guardrail("errors", 0.05, scale),))
    shown = look({"sales": measured(0, 1), "errors": measured(0.2, 0.1, control=10.0)})

    finding = one(rule, [shown], "errors")

    if scale is Scale.ABSOLUTE:
        effect, error = 0.2 - 0.05, 0.1
    else:
        effect, error = 10.2 - 1.05 * 10, math.sqrt(0.005 + 1.05**2 * 0.005)
    half = stats.norm.ppf(0.975) * error
    assert bounds(finding.beyond) == pytest.approx((effect - half, effect + half))
    assert bounds(finding.comparison) == pytest.approx(
        (0.2 - stats.norm.ppf(0.975) * 0.1, 0.2 + stats.norm.ppf(0.975) * 0.1)
    )


def test_a_relative_margin_of_a_negative_control_is_towards_the_worse() -> None:
    """Where up is better and control is at -10, 5% worse is -10.5."""
    falling = replace(guardrail("profit", 0.05, Scale.RELATIVE), direction=Direction.UP)
    shown = look({"sales": measured(0, 1), "profit": measured(-0.5, 0.1, control=-10.0)})

    finding = one(replace(FIXED, guardrails=(falling,)), [shown], "profit")

    assert told(finding.beyond).effect == pytest.approx(0)


def test_what_is_required_is_tested_instead_of_0() -> None:
    wanting = replace(primary("sales"), require_above=Margin(0.2, Scale.ABSOLUTE))

    finding = one(replace(FIXED, primary=(wanting,)), [SALES])

    assert told(finding.beyond).effect == pytest.approx(0.1)
    assert told(finding.comparison).effect == pytest.approx(0.3)


def test_a_sequential_interval_is_waudby_smiths() -> None:
    """Whatever n is counted in: here units of both arms, of which 1,000 are planned."""
    at = look({"sales": measured(0.3, 0.1, units=200)}, share=0.4)

    found = told(one(ANY_TIME, [at]).comparison)

    alpha, n = 0.05, 400
    r2 = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / 1000
    half = 0.1 * math.sqrt(2 * (n * r2 + 1) / (n * r2) * math.log(math.sqrt(n * r2 + 1) / alpha))
    assert bounds(found) == pytest.approx((0.3 - half, 0.3 + half))
    k = n * r2 + 1
    assert found.p_value == pytest.approx(math.sqrt(k) * math.exp(-r2 * n * 9 / (2 * k)))


def test_while_it_is_too_early_a_sequential_trial_says_nothing() -> None:
    reason = NotEstimable("few outcomes")
    early = look({"sales": replace(measured(0.3, 0.1), too_early=reason)})

    assert one(ANY_TIME, [early]).comparison == reason
    assert told(one(FIXED, [early]).comparison).effect == 0.3


OBRIEN_FLEMING = (4.0486, 2.8628, 2.3375, 2.0243)
"""Bounds of |z| at 4 equal looks, alpha 0.05: Jennison & Turnbull 2000, table 2.3 (C = 2.024)."""


@pytest.mark.parametrize("place", range(4))
def test_a_group_sequential_interval_has_the_bound_of_its_look(place: int) -> None:
    seen = [look({"sales": measured(0.1, 0.1)}, (k + 1) / 4, k) for k in range(place + 1)]

    finding = one(EXACT, seen)

    half = 0.1 * OBRIEN_FLEMING[place]
    assert bounds(finding.comparison) == pytest.approx((0.1 - half, 0.1 + half), rel=1e-4)


def test_a_look_that_fell_together_with_others_has_the_bound_of_the_last_of_them() -> None:
    """A fast trial: its first look is at three quarters, its second at the end."""
    seen = [look({"sales": measured(0.1, 0.1)}, 0.8, 2), look({"sales": measured(0.1, 0.1)}, 1.0, 3)]

    for count, place in ((1, 2), (2, 3)):
        half = 0.1 * OBRIEN_FLEMING[place]
        found = one(EXACT, seen[:count]).comparison
        assert bounds(found) == pytest.approx((0.1 - half, 0.1 + half), rel=1e-4)


def test_the_effect_without_covariates_is_by_the_same_method() -> None:
    entry = primary("sales")
    adjusted = replace(entry.metric, covariates=(Covariate(entry.metric.events, 60),))
    rule = replace(ANY_TIME, primary=(replace(entry, metric=adjusted),))
    plain = measured(0.2, 0.2)
    both: Measured = replace(measured(0.3, 0.1), unadjusted=plain.contrast, removed=0.75)

    finding = one(rule, [look({"sales": both})])

    alone = one(ANY_TIME, [look({"sales": plain})])
    assert finding.plain == alone.comparison
    assert alone.plain is None


def test_a_switchback_has_a_p_value_of_its_own() -> None:
    drawn = replace(measured(0.3, 0.1), p_value=0.0123)

    finding = one(FIXED, [look({"sales": drawn})])

    assert told(finding.comparison).p_value == 0.0123


NO_ERRORS = replace(
    NOBODY, rare=(Stratum(1.0, Proportion(2_000), Proportion(2_000)),), too_early=NotEstimable("early")
)


@pytest.mark.parametrize("rule", [FIXED, EXACT, ANY_TIME])
def test_a_guardrail_that_nobody_met_is_bounded_and_decides(rule: DecisionRule) -> None:
    rule = replace(rule, guardrails=(guardrail("errors", 0.02),))
    seen = look({"sales": measured(0.3, 0.1), "errors": NO_ERRORS})

    found = one(rule, [seen], "errors")

    low, high = bounds(found.comparison)
    assert low == -high
    assert 0.001 < high < 0.006  # 3.84 of 2,000 for one look, more for several
    assert bounds(found.beyond) == pytest.approx((low - 0.02, high - 0.02))
    assert is_within(found)
    assert not is_within(one(replace(rule, guardrails=(guardrail("errors", high / 2),)), [seen], "errors"))


@pytest.mark.parametrize("rule", [FIXED, EXACT, ANY_TIME])
def test_only_a_guardrail_with_a_margin_in_its_own_unit_is_bounded_so(rule: DecisionRule) -> None:
    rule = replace(
        rule,
        primary=(primary("sales"),),
        guardrails=(guardrail("errors", 0.1, Scale.RELATIVE),),
        secondary=(secondary("ctr"),),
    )
    seen = look({"sales": NO_ERRORS, "errors": NO_ERRORS, "ctr": NO_ERRORS})

    assert isinstance(one(rule, [seen]).comparison, NotEstimable)
    assert isinstance(one(rule, [seen], "ctr").comparison, NotEstimable)
    assert not is_within(one(rule, [seen], "errors"))


def test_errors_of_one_arm_alone_stop_a_sequential_trial_before_control_has_ten() -> None:
    rare = (Stratum(1.0, Proportion(2_000, 3), Proportion(2_000, 150)),)
    seen = look({"sales": measured(0.3, 0.1), "errors": replace(NO_ERRORS, rare=rare)})
    rule = replace(ANY_TIME, guardrails=(guardrail("errors", 0.02),))

    assert is_harmful(one(rule, [seen], "errors"))


def test_the_second_look_at_nothing_has_less_alpha_than_the_first() -> None:
    rule = replace(EXACT, guardrails=(guardrail("errors", 0.02),))
    seen = [look({"sales": measured(0.3, 0.1), "errors": NO_ERRORS}, share, taken=1) for share in (0.25, 0.5)]

    one_look, two = (bounds(one(rule, seen[:k], "errors").comparison)[1] for k in (1, 2))

    z = [stats.norm.isf(0.05 / 2 / (k * (k + 1))) for k in (1, 2)]
    assert (one_look, two) == pytest.approx([q * q / (2_000 + q * q) for q in z])


FEW = Stratum(1.0, Proportion(4_500, 22), Proportion(500, 1))


def share(control: Proportion, treatment: Proportion) -> Measured:
    contrast = proportion_contrast(control, treatment)
    alike = (control.units, treatment.units)
    return Measured(contrast, *alike, 450.0, strata=(Stratum(1.0, control, treatment),), alike=alike)


def test_at_a_look_a_proportion_has_newcombes_interval_as_wide_as_the_bound() -> None:
    rule = replace(EXACT, guardrails=(guardrail("errors", 0.01),))
    seen = look({"sales": measured(0.3, 0.1), "errors": share(FEW.control, FEW.treatment)})

    found = one(rule, [seen], "errors")

    bound = exact_bounds(EXACT.boundary, 0.05, (0.25, 0.5, 0.75, 1.0)).z[0] if EXACT.boundary else 0.0
    wanted = confint_proportions_2indep(1, 500, 22, 4_500, method="newcomb", alpha=2 * stats.norm.sf(bound))
    assert bounds(found.comparison) == pytest.approx(wanted)
    assert bounds(found.beyond) == pytest.approx(tuple(end - 0.01 for end in wanted))


def test_beyond_a_share_of_a_rare_control_the_interval_is_zou_and_donners() -> None:
    rule = replace(FIXED, guardrails=(guardrail("errors", 0.5, Scale.RELATIVE),))
    seen = look({"sales": measured(0.3, 0.1), "errors": share(FEW.control, FEW.treatment)})

    low, high = bounds(one(rule, [seen], "errors").beyond)

    (l0, u0), (l1, u1) = (proportion_confint(x, n, 0.05, "wilson") for x, n in ((22, 4_500), (1, 500)))
    p0, p1 = 22 / 4_500, 1 / 500
    assert low == pytest.approx(p1 - 1.5 * p0 - np.hypot(p1 - l1, 1.5 * (u0 - p0)))
    assert high == pytest.approx(p1 - 1.5 * p0 + np.hypot(u1 - p1, 1.5 * (p0 - l0)))


def test_what_covariates_moved_out_of_range_has_a_plain_interval() -> None:
    moved = replace(share(FEW.control, FEW.treatment), strata=())
    assert not isinstance(moved.contrast, NotEstimable)
    moved = replace(moved, contrast=replace(moved.contrast, control=-0.001))
    seen = look({"sales": measured(0.3, 0.1), "errors": moved})

    low, high = bounds(
        one(replace(FIXED, guardrails=(guardrail("errors", 0.01),)), [seen], "errors").comparison
    )

    assert (low + high) / 2 == pytest.approx(1 / 500 - 22 / 4_500)


def test_a_ramp_does_not_move_where_a_sequential_interval_is_narrowest() -> None:
    plain = experiment(ANY_TIME)
    lanes = tuple(replace(lane, live=lane.start + 5) for lane in plain.splits[0].lanes)
    ramped = replace(plain, splits=(replace(plain.splits[0], lanes=lanes),))
    arm = plain.treatments()[0]

    assert tuned_for(plain, arm) == tuned_for(ramped, arm) == 1000 / 4
