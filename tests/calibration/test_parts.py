"""Studies of parts of the units, in their short form."""

import pytest

from calibration.studies.parts import STUDIES
from calibration.study import Study
from proof import often


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.title)
def test_it_errs_as_often_as_it_says_and_what_is_wrong_is_caught(study: Study) -> None:
    runs = often(study.short, study.full)
    for claim, count in zip(study.claims, study.counted(runs), strict=True):
        assert claim.verdict(count, runs) != "FAILS", (claim.what, count / runs, claim.band(runs))
