"""The contract's prose and the code's names are the same."""

import re
from pathlib import Path

from meshtrial import names

PAGE = (Path(__file__).parents[2] / "protos/CONTRACT.md").read_text()


def first_cells(title: str, table: int = 0) -> list[str]:
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    tables = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)
    return [re.sub("`", "", row.split("|")[1].strip()) for row in tables[table].splitlines()[2:]]


def test_every_span_attribute_stands_in_the_contract_and_no_other() -> None:
    expected = {attribute.value for attribute in names.Attribute} | {f"{names.OUTCOME_VALUE_PREFIX}<field>"}

    assert expected == set(first_cells("Spans", 1))


def test_every_span_name_stands_in_the_contract_and_no_other() -> None:
    assert {name.value for name in names.SpanName} == set(first_cells("Spans"))


def test_every_header_of_ours_stands_in_the_contract_and_no_other() -> None:
    ours = {cell for cell in first_cells("Headers") if cell.startswith(names.HEADER_PREFIX)}

    assert {header.value for header in names.Header} == ours


def test_every_reason_and_plane_stands_in_the_contract() -> None:
    for word in (*names.Reason, *names.Plane):
        assert f"`{word.value}`" in PAGE
