"""Texts that are meant to exhaust a reader."""

import subprocess
import sys
import time

import pytest

from meshtrial.plan.problems import Problems
from meshtrial.plan.tree import MAX_CHARACTERS, Mapping, Node, Scalar, Sequence, read_tree


def read(text: str) -> tuple[Node | None, list[str]]:
    problems = Problems()
    node = read_tree(text, problems)
    return node, [f"{p.line}: {p.path}: {p.message}" for p in problems.found()]


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "[{a: "], ids=repr)
def test_a_hundred_thousand_nested_nodes_do_not_crash_the_interpreter(opening: str) -> None:
    # A subprocess: a stack that overflows in C kills the process instead of raising.
    program = (
        "from meshtrial.plan.load import load\n"
        "from meshtrial.errors import PlanError\n"
        "try:\n"
        f"    load({opening!r} * 100_000, 'plan.yaml')\n"
        "except PlanError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr[-500:]
    assert done.stdout.startswith("plan.yaml:")
    assert done.stdout.count("\n") == 1


def test_nesting_ends_at_its_limit_with_the_place() -> None:
    node, said = read("[" * 33 + "]" * 33)
    assert isinstance(node, Sequence)
    assert said == []

    node, said = read("[" * 34 + "]" * 34)
    assert node is None
    assert said == [f"1: ${'[0]' * 33}: the document is nested deeper than 32 here"]


@pytest.mark.parametrize(
    "text",
    [
        "a0: &a0 ["
        + "x, " * 9
        + "x]\n"
        + "".join(f"a{i}: &a{i} [{f'*a{i - 1}, ' * 9}x]\n" for i in range(1, 40)),
        "[" + "1, " * 300_000 + "]",
        "&a x: 1\nb: {" + ", ".join(f"k{i}: *a" for i in range(60_000)) + "}\n" * 2,
    ],
    ids=["alias bomb", "long list", "many aliases"],
)
def test_a_document_that_unfolds_costs_a_bounded_time(text: str) -> None:
    start = time.monotonic()
    read(text)

    assert time.monotonic() - start < 10


def test_an_anchored_value_may_stand_in_several_places() -> None:
    node, said = read("a: &x {k: v}\nb: *x\n")

    assert said == []
    assert isinstance(node, Mapping)
    assert node.entries["a"] == node.entries["b"]


@pytest.mark.parametrize("text", ["a: *x", "a: &x [*x]"])
def test_an_alias_of_nothing_that_stands_before_it_is_refused(text: str) -> None:
    node, said = read(text)

    assert node is None
    assert len(said) == 1


def test_a_text_over_the_limit_is_refused_unread() -> None:
    node, said = read("[" + " " * MAX_CHARACTERS)

    assert node is None
    assert said == ["0: $: the document has 1,000,001 characters, the limit is 1,000,000"]


def test_half_of_a_surrogate_pair_is_refused_with_its_line() -> None:
    node, said = read("a: 1\nb: \ud800")

    assert node is None
    assert said == ["2: $: not readable as YAML: half of a surrogate pair is no text"]


def test_a_control_character_is_refused_with_its_line() -> None:
    assert read("é: 1\nb: é\x01")[1] == ["2: $: not readable as YAML: control characters are not allowed"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("off", "bool"),
        ("'off'", "str"),
        ("1_000", "int"),
        ("1.5", "float"),
        ("~", "null"),
        ("", "null"),
        ("2026-01-01", "timestamp"),
        ("!!str 5", "str"),
        ("!!int x", "int"),
        ("!own x", "!own"),
        ("!<tag:example.com,2026:str> x", "tag:example.com,2026:str"),
    ],
)
def test_a_leaf_keeps_what_was_written_and_what_yaml_takes_it_for(text: str, kind: str) -> None:
    node, said = read(f"a: {text}")

    assert said == []
    assert isinstance(node, Mapping)
    leaf = node.entries["a"]
    assert isinstance(leaf, Scalar)
    assert leaf.kind == kind


def test_a_mapping_stands_at_the_line_of_its_key_and_a_leaf_at_its_own() -> None:
    node, _ = read("a:\n  b:\n    - c\n  d:\n    e\n")

    assert isinstance(node, Mapping)
    a = node.entries["a"]
    assert isinstance(a, Mapping)
    assert (a.line, a.entries["b"].line, a.entries["d"].line) == (1, 2, 5)
