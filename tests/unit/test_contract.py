"""The contract's prose and the code's names are the same."""

import re
from pathlib import Path

from meshtrial import names
from meshtrial.assign.baggage import carried_arms
from meshtrial.assign.force import forced_arms
from meshtrial.pseudonym import PseudonymKey

PAGE = (Path(__file__).parents[2] / "protos/CONTRACT.md").read_text()


def first_cells(title: str, table: int = 0) -> list[str]:
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    tables = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)
    return [re.sub("`", "", row.split("|")[1].strip()) for row in tables[table].splitlines()[2:]]


def test_every_span_attribute_stands_in_the_contract_and_no_other() -> None:
    expected = {attribute.value for attribute in names.Attribute}
    expected |= {f"{names.OUTCOME_VALUE_PREFIX}<field>", f"{names.STRATUM_PREFIX}<header>"}

    assert expected == set(first_cells("Spans", 1))


def test_every_key_of_the_metadata_stands_in_the_contract_and_no_other() -> None:
    expected = {key.value for key in names.Metadata if key is not names.Metadata.EXPERIMENTS}
    expected |= {f"{names.Metadata.EXPERIMENTS}.<id>.{key}" for key in names.MetadataOf}

    assert expected == set(first_cells("Dynamic metadata"))


def test_every_attribute_of_a_requests_record_stands_in_the_contract_and_no_other() -> None:
    assert {attribute.value for attribute in names.RequestEvent} == set(first_cells("Requests"))


def test_every_span_name_stands_in_the_contract_and_no_other() -> None:
    assert {name.value for name in names.SpanName} == set(first_cells("Spans"))


def test_every_header_of_ours_stands_in_the_contract_and_no_other() -> None:
    ours = {cell for cell in first_cells("Headers") if cell.startswith(names.HEADER_PREFIX)}

    assert {header.value for header in names.Header} == ours


def test_the_headers_that_carry_signed_arms_stand_in_the_contract() -> None:
    assert {names.FORCE, names.BAGGAGE} <= set(first_cells("Headers"))


def test_the_contracts_signed_examples_are_valid() -> None:
    key = PseudonymKey.of(b"sixteen bytes ok")
    (forced,) = re.findall(rf"^{names.FORCE}: (.*)$", PAGE, re.MULTILINE)
    (baggage,) = re.findall(rf"^{names.BAGGAGE}: (.*)$", PAGE, re.MULTILINE)
    last_second = (1767225600 - 1) * 10**9

    assert forced_arms([forced.encode()], key, last_second) == {"rank-v2": "v2"}
    assert {e: c.arm for e, c in carried_arms([baggage.encode()], key, last_second).items()} == {
        "rank-v2": "v2"
    }


def test_every_reason_and_plane_stands_in_the_contract() -> None:
    for word in (*names.Reason, *names.Plane):
        assert f"`{word.value}`" in PAGE
