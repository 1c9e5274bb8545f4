"""Every key of every good plan, misspelt once."""

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshtrial.errors import PlanError
from meshtrial.plan.load import load

GOOD = sorted((Path(__file__).parents[2] / "plans" / "good").glob("*.yaml"))
FREE = {"metrics", "experiments", "arms", "headers", "layers", "cohorts"}
"""Mappings whose keys are the user's own."""

Way = tuple[str | int, ...]


def fixed_keys(value: object, way: Way = ()) -> Iterator[Way]:
    """The way to every key that is a fixed word, or the name of a cohort under `weight`."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from fixed_keys(item, (*way, index))
    if isinstance(value, dict):
        for key, inner in value.items():
            if not way or way[-1] not in FREE or (len(way) > 1 and way[-2] in FREE):
                yield (*way, key)
            yield from fixed_keys(inner, (*way, key))


def place(way: Way) -> str:
    steps = (
        f"[{s}]" if isinstance(s, int) else f".{s}" if re.fullmatch(r"[\w-]+", s) else f'["{s}"]' for s in way
    )
    return "$" + "".join(steps)


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_misspelt_key_is_refused_at_its_place(path: Path) -> None:
    document: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    ways = [*fixed_keys(document)]
    assert len(ways) > 10
    for way in ways:
        *parents, key = way
        misspelt = copy.deepcopy(document)
        holder: Any = misspelt
        for step in parents:
            holder = holder[step]
        holder[f"{key}q"] = holder.pop(key)
        with pytest.raises(PlanError) as refused:
            load(yaml.safe_dump(misspelt, sort_keys=False, allow_unicode=True), path.name)
        found = [(p.path, p.rule) for p in refused.value.problems]
        assert (place((*parents, f"{key}q")), "key-unknown") in found, way
