"""Counts -> docs/calibration.md."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import scipy

from calibration.registry import CHAPTERS
from calibration.study import Study

Counted = Mapping[str, Sequence[int]]
"""Of each study by its title, how often each of its claims happened."""

TOP: Final = """\
# Calibration

What meshtrial's methods promise, counted. Each row is a count of a simulation study: trials are drawn whose
truth is known, the method that the report uses judges each of them, and what happened is counted. `make
calibrate` draws them again, with the same seeds, and writes this page; `make test` draws fewer of the same
trials and holds them against the bands that belong to fewer.

- A method **holds** where the share is within its band. The band of a share that is known is 3.29 standard
  errors of the count wide on either side (99.9%); of one that is only promised not to be exceeded, 3.09
  standard errors above. Shares that are themselves rounded or simulated have that much more room.
- Beside many methods stands a wrong one that is often met, such as looking daily at a plain p-value. It must
  be **caught**: its share must lie where the right method's cannot.
- A/A means that the arms do not differ, so every alarm is false.

"""
HEAD: Final = """
| study | what | runs | expected | counted | rate | band | verdict |
|---|---|--:|---|--:|--:|---|---|
"""


def page(counted: Counted) -> str:
    """The whole page.

    Raises:
        KeyError: A study was not counted.
    """
    parts = [TOP, f"Made with numpy {np.__version__} and scipy {scipy.__version__}.\n"]
    for chapter, studies in CHAPTERS.items():
        parts.append(f"\n## {chapter}\n{HEAD}")
        for study in studies:
            parts += rows(study, counted[study.title])
        notes = [f"- *{study.title}.* {study.note}\n" for study in studies if study.note]
        parts += ["\n", *notes] if notes else []
    return "".join(parts)


def rows(study: Study, counts: Sequence[int]) -> list[str]:
    """The study's lines of its chapter's table."""
    found, title = [], study.title
    for claim, count in zip(study.claims, counts, strict=True):
        low, high = claim.band(study.full)
        cells = (
            *(title, claim.what, f"{study.full:,}", claim.expected, f"{count:,}"),
            *(f"{count / study.full:.4f}", f"{low:.4f} to {high:.4f}", claim.verdict(count, study.full)),
        )
        found.append(f"| {' | '.join(cells)} |\n")
        title = ""
    return found
