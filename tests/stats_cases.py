"""Published cases with inputs, expected values and tolerances: `vectors/stats_cases.json`."""

import json
from pathlib import Path
from typing import Any

import pytest

_CASES = json.loads((Path(__file__).parent / "vectors" / "stats_cases.json").read_text("utf-8"))


def published(case_id: str) -> tuple[Any, Any, float]:
    """Inputs, expected values and the absolute tolerance of one case."""
    (case,) = (case for case in _CASES if case["id"] == case_id)
    assert case["tolerance"]["kind"] == "absolute"
    return case["inputs"], case["expected"], case["tolerance"]["value"]


def published_by_key(case_id: str) -> tuple[Any, Any, dict[str, float]]:
    """Inputs, expected values and the absolute tolerance of each of these."""
    (case,) = (case for case in _CASES if case["id"] == case_id)
    assert case["tolerance"]["kind"] == "per_key"
    return case["inputs"], case["expected"], case["tolerance"]["value"]


def near(expected: Any, tolerance: float) -> Any:
    """Equal within the case's absolute tolerance alone."""
    return pytest.approx(expected, rel=0, abs=tolerance)
