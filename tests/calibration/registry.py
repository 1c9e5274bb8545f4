"""All studies, in the order of the page."""

from collections.abc import Mapping
from typing import Final

from calibration.studies import (
    clusters,
    covariates,
    decisions,
    fixed_sample,
    group_sequential,
    growing,
    over_time,
    parts,
    quantiles,
    rare,
    ratios,
    sequential,
    strata,
)
from calibration.study import Study

CHAPTERS: Final[Mapping[str, tuple[Study, ...]]] = {
    "One look": fixed_sample.STUDIES,
    "Ratios and shares of control's value": ratios.STUDIES,
    "Covariates": covariates.STUDIES,
    "Quantiles": quantiles.STUDIES,
    "Strata": strata.STUDIES,
    "Parts of the units": parts.STUDIES,
    "Clusters": clusters.STUDIES,
    "Switchbacks, and effects over days": over_time.STUDIES,
    "A few looks": group_sequential.STUDIES,
    "Rare outcomes": rare.STUDIES,
    "Looks at any time": sequential.STUDIES,
    "Metrics without a window": growing.STUDIES,
    "The whole decision": decisions.STUDIES,
}
STUDIES: Final = tuple(study for studies in CHAPTERS.values() for study in studies)
