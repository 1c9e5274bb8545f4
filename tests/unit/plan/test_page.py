"""docs/plan.md, held to what the reader knows."""

import re
from pathlib import Path

import pytest

from meshtrial.errors import PlanError
from meshtrial.names import Reason
from meshtrial.plan import (
    arms,
    audience,
    decision,
    experiments,
    layers,
    load,
    matching,
    metrics,
    roles,
    units,
)
from meshtrial.plan.problems import Rule

PAGE = (Path(__file__).parents[3] / "docs" / "plan.md").read_text("utf-8")
SECTIONS = {part.partition("\n")[0]: part for part in re.split(r"^#{1,3} ", PAGE, flags=re.MULTILINE)}
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)

SUPPORTED = {
    "The document": (*load.REQUIRED, *load.OPTIONAL),
    "A metric": (*metrics.REQUIRED, *metrics.OPTIONAL),
    "An experiment": (*experiments.REQUIRED, *experiments.OPTIONAL),
    "`unit`": units.KEYS,
    "`match`": matching.CONDITIONS,
    "`audience`": (*audience.OPERATORS, *audience.ALONE),
    "An arm": (*arms.REQUIRED, *arms.OPTIONAL),
    "A layer": (*layers.REQUIRED, *layers.OPTIONAL),
    "The decision": (*decision.REQUIRED, *decision.OPTIONAL),
    "An entry of `primary`": (*roles.PRIMARY, *roles.OPTIONAL_PRIMARY),
    "An entry of `guardrails`": roles.GUARDRAIL,
}
RESERVED = {
    "the document": load.LATER,
    "an experiment": experiments.LATER,
    "the decision": decision.LATER,
    "an entry of `primary`": roles.LATER_PRIMARY,
}


@pytest.mark.parametrize("section", SUPPORTED)
def test_each_table_lists_exactly_the_keys_that_the_reader_knows(section: str) -> None:
    cells = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", SECTIONS[section], flags=re.MULTILINE)

    assert sorted(re.findall(r"\w+", " ".join(cells))) == sorted(SUPPORTED[section])


def test_required_keys_are_told_from_the_others() -> None:
    for section, keys in {
        "The document": load.REQUIRED,
        "A metric": metrics.REQUIRED,
        "An experiment": experiments.REQUIRED,
        "An arm": arms.REQUIRED,
        "A layer": layers.REQUIRED,
        "The decision": decision.REQUIRED,
        "An entry of `primary`": roles.PRIMARY,
        "An entry of `guardrails`": roles.GUARDRAIL,
    }.items():
        rows = re.findall(r"^\| `(\w+)` \|[^|]*\| required \|", SECTIONS[section], flags=re.MULTILINE)
        assert sorted(rows) == sorted(keys)


def test_each_reserved_word_is_listed_where_it_is_refused() -> None:
    rows = re.findall(
        r"^\| (.+?) \| (`.+`) \|$", SECTIONS["Not supported by this version yet"], flags=re.MULTILINE
    )

    assert {where: tuple(re.findall(r"`(\w+)`", words)) for where, words in rows} == RESERVED


def test_each_reason_has_its_step() -> None:
    rows = re.findall(r"\| `(\w+)` \|$", SECTIONS["How a unit gets its arm"], flags=re.MULTILINE)

    assert set(rows) == set(Reason)


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_examples_load(text: str) -> None:
    assert load.load(text, "docs/plan.md").experiments


def test_the_error_is_the_one_that_is_shown() -> None:
    [shown] = re.findall(r"```text\n(.*?)\n```", PAGE, flags=re.DOTALL)
    lines = EXAMPLES[0].replace("    control:", "    contrl:").splitlines(keepends=True)
    with pytest.raises(PlanError) as refused:
        load.load("".join(lines), "plan.yaml")

    assert shown in str(refused.value).splitlines()


@pytest.mark.parametrize("key", experiments.LATER)
def test_a_reserved_key_is_refused_by_name(key: str) -> None:
    text = EXAMPLES[0].replace("    control: v1\n", f"    control: v1\n    {key}: x\n", 1)
    with pytest.raises(PlanError) as refused:
        load.load(text, "plan.yaml")

    assert [(p.path, p.rule, p.message) for p in refused.value.problems] == [
        (f"$.experiments.rank-v2.{key}", Rule.NOT_SUPPORTED, f"`{key}` is not supported by this version yet")
    ]
