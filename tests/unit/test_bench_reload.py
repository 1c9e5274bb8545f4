"""The benchmark of changed plans: its arithmetic, and the page made from its results."""

from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parents[2]
BENCH = ROOT / "bench"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCH))


def test_the_published_table_is_that_of_the_published_measurements_which_meet_the_target() -> None:
    from reload import BEGIN, END, Changes, met, table
    from report import markdown

    measured = msgspec.json.decode((BENCH / "reload.json").read_bytes(), type=list[Changes])
    page = (ROOT / "docs" / "performance.md").read_text()

    assert page.partition(BEGIN)[2].partition(END)[0] == f"\n{markdown([table(measured)])}\n"
    assert met(measured)
    assert [len(changes.delays_ms) for changes in measured if changes.experiments < 1000] == [200] * 3


def test_the_readme_says_what_was_measured_of_a_plan_of_one_experiment() -> None:
    from reload import Changes, percentile

    (small, *_) = msgspec.json.decode((BENCH / "reload.json").read_bytes(), type=list[Changes])
    p50, p99 = (percentile(small.delays_ms, share) for share in (0.5, 0.99))

    said = " ".join((ROOT / "README.md").read_text().split())
    assert small.experiments == 1
    assert f"without a restart, [in {p50:.0f} ms and 99 times of 100 within {p99:.0f} ms]" in said


def test_a_row_has_the_median_the_99th_percentile_and_the_longest_delay() -> None:
    from reload import Changes, table

    (row,) = table([Changes(1000, tuple(float(n) for n in range(200, 0, -1)))]).rows

    assert row == ("1,000", "200", "100", "198", "200")


@pytest.mark.parametrize(("experiments", "late", "expected"), [(1, 2, True), (1, 3, False), (30, 200, True)])
def test_the_target_is_missed_where_over_1_percent_of_the_smallest_plans_changes_are_late(
    experiments: int, late: int, expected: bool
) -> None:
    from reload import Changes, met

    delays = (100.0,) * late + (99.9,) * (200 - late)

    assert met([Changes(experiments, delays)]) is expected
