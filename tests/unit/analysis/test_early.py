"""Proportions before a confidence sequence: safe e-values over periods and cohorts."""

import math

import numpy as np
import pytest

from judged_rows import judged, plan_of, rows_of
from meshtrial.analysis.cells import Key
from meshtrial.analysis.early import early_p_value
from meshtrial.stats.joint import Joint

Counts = dict[tuple[int, str, str], tuple[int, int]]
"""Units and buyers by period, cohort and arm."""


def cells(counts: Counts) -> dict[Key, Joint]:
    return {
        Key(period, "p", cohort, arm): Joint((0.0,), units, (float(had),), (float(had),))
        for (period, cohort, arm), (units, had) in counts.items()
    }


def p_value(counts: Counts, cohorts: tuple[str, ...] = ("default",)) -> float:
    return early_p_value(cells(counts), [("p", cohort) for cohort in cohorts], ("v1", "v2"))


def by_hand(blocks: list[tuple[int, int, int, int]]) -> list[float]:
    """E-values after blocks of (na, ya, nb, yb), unit by unit: Turner, Ly & Grunwald, with their prior."""
    seen, e_values, e_value = [0.18] * 4, [], 1.0
    for na, ya, nb, yb in blocks:
        a, b = seen[0] / (seen[0] + seen[1]), seen[2] / (seen[2] + seen[3])
        null = (na * a + nb * b) / (na + nb)
        for had, rate in [(k < ya, a) for k in range(na)] + [(k < yb, b) for k in range(nb)]:
            e_value *= (rate if had else 1 - rate) / (null if had else 1 - null)
        seen = [s + n for s, n in zip(seen, (ya, na - ya, yb, nb - yb), strict=True)]
        e_values.append(e_value)
    return e_values


BLOCKS = [(20, 0, 20, 5), (20, 0, 20, 6), (20, 1, 20, 0), (20, 0, 20, 6)]


def test_periods_are_the_blocks_and_the_greatest_e_value_counts() -> None:
    counts: Counts = {}
    for period, (na, ya, nb, yb) in enumerate(BLOCKS):
        counts[10 * period, "default", "v1"] = (na, ya)
        counts[10 * period, "default", "v2"] = (nb, yb)

    e_values = by_hand(BLOCKS)

    assert max(e_values) > e_values[2]  # it fell in between
    assert p_value(counts) == pytest.approx(1 / max(1, *e_values))
    assert p_value(dict(reversed(counts.items()))) == p_value(counts)


def test_periods_with_one_arm_alone_are_one_block_with_those_that_follow() -> None:
    counts: Counts = {
        (0, "default", "v1"): (20, 0),
        (10, "default", "v2"): (15, 5),
        (20, "default", "v1"): (30, 1),
        (30, "default", "v1"): (9, 0),
        (40, "default", "v2"): (30, 12),
        (50, "default", "v1"): (99, 99),  # of a block that is not complete
    }

    assert p_value(counts) == pytest.approx(1 / max(by_hand([(20, 0, 15, 5), (39, 1, 30, 12)])))


def test_cohorts_multiply_at_each_moment() -> None:
    counts: Counts = {}
    for cohort, blocks in (("default", BLOCKS), ("enterprise", BLOCKS[::-1])):
        for period, (na, ya, nb, yb) in enumerate(blocks):
            counts[period, cohort, "v1"] = (na, ya)
            counts[period, cohort, "v2"] = (nb, yb)

    both = np.array(by_hand(BLOCKS)) * np.array(by_hand(BLOCKS[::-1]))

    assert p_value(counts, ("default", "enterprise")) == pytest.approx(1 / max(1, *both))
    assert p_value(counts) == pytest.approx(1 / max(1, *by_hand(BLOCKS)))


def test_a_report_of_a_sequential_trial_has_a_p_value_before_it_has_an_interval() -> None:
    plan = plan_of(
        ("method: fixed", "method: sequential"),
        ("        - {metric: revenue, direction: up, minimum_effect: 5% relative}\n", ""),
    )
    rows = rows_of(plan)
    for unit in range(200):
        rows.expose(unit, "v2" if unit % 2 else "v1", unit / 10)
        if unit % 2 and unit % 4 == 1:
            rows.outcome(unit, "purchase", unit / 10 + 1)

    [told] = judged(rows, plan).metrics[0].comparisons

    assert (told.effect, told.interval) == (None, None)
    assert told.not_estimable is not None
    assert "a sequential look needs 10 units with the outcome" in told.not_estimable
    assert told.p_value is not None
    assert math.isfinite(told.p_value)
    assert told.p_value < 1e-4
