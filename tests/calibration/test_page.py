"""How claims are judged, and that the page has all of them."""

import re
from pathlib import Path

import numpy as np
import pytest

from calibration.page import page
from calibration.registry import STUDIES
from calibration.study import Study, at_least, at_most, caught_above, caught_below, chosen, exactly

PAGE = (Path(__file__).parents[2] / "docs/calibration.md").read_text()


def test_a_known_share_holds_within_3_29_standard_errors_and_fails_beyond_on_either_side() -> None:
    claim = exactly("alarms", 0.05)
    assert claim.band(20_000) == pytest.approx((0.0449, 0.0551), abs=5e-5)
    assert [claim.verdict(count, 20_000) for count in (898, 899, 1101, 1102)] == [
        *("FAILS", "holds"),
        *("holds", "FAILS"),
    ]


def test_a_share_that_is_promised_not_to_be_exceeded_fails_above_and_where_all_is_wasted() -> None:
    claim = at_most("alarms", 0.05, least=0.02)
    assert claim.band(20_000)[1] == pytest.approx(0.05476, abs=5e-5)
    assert [claim.verdict(count, 20_000) for count in (300, 500, 1090, 1100)] == [
        *("FAILS", "holds"),
        *("holds", "FAILS"),
    ]


def test_what_is_wrong_is_caught_where_it_errs_and_fails_where_it_does_not() -> None:
    assert caught_above("naive", 0.1).verdict(140, 1_000) == "caught"
    assert caught_above("naive", 0.1).verdict(50, 1_000) == "FAILS"
    assert caught_below("naive", 0.9).verdict(800, 1_000) == "caught"
    assert caught_below("naive", 0.9).verdict(950, 1_000) == "FAILS"
    assert exactly("naive", 0.2, wrong=True).verdict(200, 1_000) == "caught"
    assert at_least("shorter", 0.9).verdict(899, 1_000) == "FAILS"


def test_a_study_counts_the_same_however_it_is_divided_among_processes() -> None:
    def count(rng: np.random.Generator, runs: int) -> list[int]:
        return [runs, int((rng.random(runs) < 0.3).sum())]

    study = Study("coins", 7, 10, 25, chosen(count, 1, 0), (exactly("heads", 0.3), exactly("runs", 1)), 10)
    parts = list(study.parts(25))
    assert parts == [(0, 10), (1, 10), (2, 5)]
    backwards = np.sum([study.part(*part) for part in reversed(parts)], axis=0).tolist()
    assert study.counted(25) == backwards
    assert backwards[1] == 25


def test_a_count_that_no_claim_is_for_is_a_mistake() -> None:
    study = Study("coins", 7, 10, 25, lambda *_: [1, 2], (exactly("heads", 0.3),))
    with pytest.raises(ValueError, match=r"^coins: 2 counts for 1 claims$"):
        study.counted(10)


def test_no_two_studies_have_one_title_or_one_seed() -> None:
    assert len({study.title for study in STUDIES}) == len({study.seed for study in STUDIES}) == len(STUDIES)


def test_the_page_has_every_claim_with_its_counts_and_none_fails() -> None:
    lines = [line.split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
    counts = iter(int(cells[4].replace(",", "")) for cells in lines if cells[1] != "what")
    counted = {study.title: [next(counts) for _ in study.claims] for study in STUDIES}

    said, wanted = (re.sub("numpy .*", "", text) for text in (PAGE, page(counted)))

    assert said == wanted
    assert next(counts, None) is None
    assert "FAILS" not in said
