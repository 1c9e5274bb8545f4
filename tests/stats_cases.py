"""Published cases with inputs, expected values and tolerances: `vectors/stats_cases.json`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

CASES: Final[list[Any]] = json.loads((Path(__file__).parent / "vectors/stats_cases.json").read_text("utf-8"))
"""Each with `id`, `inputs`, `expected` and `tolerance`: numbers, or lists and objects of such."""


def gaps(found: Any, expected: Any, tolerance: Mapping[str, Any]) -> list[str]:
    """Paths of what is not as expected: another shape, or a number that is further off than it may be.

    Args:
        found: An answer.
        expected: The case's.
        tolerance: The case's: of kind `absolute`, or `per_key` with one for each key of the answer.
    """
    if tolerance["kind"] == "per_key":
        return [
            place
            for key, value in tolerance["value"].items()
            for place in _gaps(found[key], expected[key], value, f"/{key}")
        ] + ([] if set(found) == set(expected) == set(tolerance["value"]) else [""])
    assert tolerance["kind"] == "absolute"
    return _gaps(found, expected, tolerance["value"], "")


def _gaps(found: Any, expected: Any, tolerance: float, path: str) -> list[str]:
    if isinstance(expected, list):
        pairs = dict(enumerate(expected))
        same = isinstance(found, list) and len(found) == len(expected)
    elif isinstance(expected, dict):
        pairs = expected
        same = isinstance(found, dict) and set(found) == set(expected)
    else:
        near_enough = not isinstance(found, list | dict) and abs(found - expected) <= tolerance
        return [] if near_enough else [path]
    if not same:
        return [path]
    inner = (_gaps(found[key], value, tolerance, f"{path}/{key}") for key, value in pairs.items())
    return [place for places in inner for place in places]


def near(expected: Any, tolerance: float) -> Any:
    """Equal within an absolute tolerance alone."""
    return pytest.approx(expected, rel=0, abs=tolerance)


def published(case_id: str) -> tuple[Any, Any]:
    """Inputs and expected values of one case, for tests that ask more of it."""
    (case,) = (case for case in CASES if case["id"] == case_id)
    return case["inputs"], case["expected"]
