"""Quantiles of metrics where one cohort is thin, or values are whole numbers."""

import random

import pytest

from judged_rows import check, judged, rows_of
from meshtrial.plan.load import load
from meshtrial.plan.model import Plan
from plan_texts import RANK
from trial_rows import Trial

COHORTS = """\
cohorts:
  enterprise: [{header: x-plan, in: [enterprise]}]
experiments:"""
MEAN = "  revenue: {kind: mean, outcome: purchase, value: amount, window: 10s}"
QUANTILE = "  revenue: {kind: quantile, q: 0.9, outcome: purchase, value: amount, window: 10s}"


def plan_of(*changes: tuple[str, str]) -> Plan:
    text = RANK.replace("experiments:", COHORTS)
    for arm in ("v1", "v2"):
        text = text.replace(f"{arm}: {{weight: 50", f"{arm}: {{weight: {{default: 50, enterprise: 50}}")
    for old, new in ((MEAN, QUANTILE), *changes):
        assert old in text
        text = text.replace(old, new)
    return load(text, "plan.yaml")


def bought(rows: Trial, cohort: str, units: range, buyers: int | None = None) -> None:
    """All units are exposed, and so many buy, all of them where it is not said."""
    chance = random.Random(1)
    for unit in units:
        rows.expose(unit, "v2" if unit % 2 else "v1", 0, Cohort=cohort)
        if buyers is None or unit - units.start < buyers:
            rows.outcome(unit, "purchase", 1, amount=chance.lognormvariate(0, 1))


@pytest.mark.parametrize("buyers", [60, 0])
def test_a_cohort_with_too_few_events_is_left_out_of_the_quantile_and_listed(buyers: int) -> None:
    whole, rest = rows_of(plan_of()), rows_of(plan_of())
    for rows in (whole, rest):
        bought(rows, "default", range(600))
    bought(whole, "enterprise", range(600, 800), buyers)

    report, alone = (judged(rows, plan_of()) for rows in (whole, rest))

    told, of_rest = (
        next(m for m in one.metrics if m.metric == "revenue").comparisons[0] for one in (report, alone)
    )
    assert told.effect is not None
    assert (told.effect, told.interval) == (of_rest.effect, of_rest.interval)
    noted = check(report, "one_allocation")
    assert noted.passed is None
    assert "left out of revenue, as some arm has too few events: phase" in noted.detail
    assert "enterprise" in noted.detail
    assert "too few events" not in check(alone, "one_allocation").detail


def test_where_every_cohort_is_thin_none_is_left_out() -> None:
    rows = rows_of(plan_of())
    bought(rows, "default", range(60))
    bought(rows, "enterprise", range(60, 120))

    report = judged(rows, plan_of())

    told = next(m for m in report.metrics if m.metric == "revenue").comparisons[0]
    assert "events are too few for the quantile" in (told.not_estimable or "")
    assert "too few events" not in check(report, "one_allocation").detail
