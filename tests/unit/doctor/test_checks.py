"""Every check by its files: one that has the trouble, at the line marked `# here`, and one that has not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from doctored import FILES, NEEDS
from meshtrial.doctor.checks import CHECKS
from meshtrial.doctor.examine import document, examine

BY_TOKEN: dict[str, Any] = {"metadata": ("envoy.filters.http.jwt_authn",)}
BY_OUTCOME: dict[str, Any] = {"response": True, "outcome_header": True}
CHANGES: dict[str, dict[str, Any]] = {
    "attribute-missing": {"attributes": ("request.time", "xds.route_name")},
    "authentication-late": BY_TOKEN,
    "metadata-hidden": BY_TOKEN,
    "response-unasked": {"response": True},
    "outcome-leaks": BY_OUTCOME,
    "outcome-lost": BY_OUTCOME,
    "request-id-missing": {"request_id": True},
    "request-id-chosen": {"request_id": True},
    "request-id-trusted": {"request_id": True},
    "requests-unlogged": {"request_log": True},
}
"""What the plan of a check's files needs beside NEEDS."""


def found(path: Path, check: str) -> list[tuple[str, int]]:
    """Check and line of each finding in one file."""
    needs = replace(NEEDS, **CHANGES.get(check, {}))
    return [(f.check.id, f.place.line) for f in examine([document(path.name, path.read_text())], needs)]


@pytest.mark.parametrize("check", [check.id for check in CHECKS])
def test_a_check_finds_its_trouble_where_it_is_and_nothing_where_it_is_not(check: str) -> None:
    bad, good = FILES / "bad" / f"{check}.yaml", FILES / "good" / f"{check}.yaml"
    marked = [n for n, line in enumerate(bad.read_text().splitlines(), 1) if line.endswith("# here")]

    assert found(bad, check) == [(check, line) for line in marked]
    assert found(good if good.exists() else FILES / "good" / "base.yaml", check) == []


def test_each_check_has_a_name_of_its_own_and_every_file_is_a_checks() -> None:
    ids = [check.id for check in CHECKS]

    assert len(set(ids)) == len(ids)
    assert {path.stem for path in (FILES / "bad").iterdir()} == set(ids)
    assert {path.stem for path in (FILES / "good").iterdir()} <= {*ids, "base"}
