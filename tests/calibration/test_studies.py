"""Every study in its short form, with bands that a broken method fails; `make proof` runs the full one."""

import pytest

from calibration.registry import STUDIES
from calibration.study import Study
from proof import often


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.title)
def test_it_errs_as_often_as_it_says_and_what_is_wrong_is_caught(study: Study) -> None:
    runs = often(study.short, study.full)
    counts = study.counted(runs)

    for claim, count in zip(study.claims, counts, strict=True):
        assert claim.verdict(count, runs) != "FAILS", (claim.what, count / runs, claim.band(runs))
