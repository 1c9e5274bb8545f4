"""YAML text -> a tree of nodes that know their line.

PyYAML's own constructor drops line numbers, keeps the last of two equal keys and reads `off` as a
boolean where a name was meant; the tree keeps what was written, so that each of these is an error
with a place.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import yaml

from meshtrial.plan.problems import Problems, Rule

MAX_BYTES = 1_000_000
"""A plan of 1,000 experiments is about 600 kB."""
MAX_NODES = 200_000
"""Nodes after aliases are followed: bounds what an alias bomb can cost."""
MAX_DEPTH = 32
"""The deepest place of a plan is 8 deep."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A leaf."""

    line: int
    """1-based."""
    text: str
    kind: str
    """What YAML takes it for: str, int, float, bool, null, or another tag's last word."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    line: int
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping with text keys, in document order."""

    line: int
    entries: dict[str, "Node"]


Node = Scalar | Sequence | Mapping


class _TooLarge(Exception):
    """The document grows past a limit while aliases are followed."""


def read_tree(text: str, problems: Problems) -> Node | None:
    """Read one YAML document; None, with the problem noted, where it is no readable document."""
    if len(text) > MAX_BYTES:
        problems.note(
            0, "$", Rule.YAML, f"the document has {len(text):,} characters, the limit is {MAX_BYTES:,}"
        )
        return None
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
        if root is None:
            problems.note(1, "$", Rule.YAML, "the document is empty")
            return None
        return _convert(root, "$", 0, count(1), problems)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        problems.note(line, "$", Rule.YAML, f"not readable as YAML: {error.problem or error.context}")
    except yaml.reader.ReaderError as error:
        problems.note(0, "$", Rule.YAML, f"not readable as YAML: {error.reason}")
    except (_TooLarge, RecursionError):
        problems.note(
            0,
            "$",
            Rule.YAML,
            f"the document has over {MAX_NODES:,} nodes or is nested deeper than {MAX_DEPTH}",
        )
    return None


def _convert(node: yaml.Node, path: str, depth: int, counter: Iterator[int], problems: Problems) -> Node:
    if depth > MAX_DEPTH or next(counter) > MAX_NODES:
        raise _TooLarge
    line = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        return Scalar(line, node.value, node.tag.rpartition(":")[2])
    if isinstance(node, yaml.SequenceNode):
        items = (_convert(n, f"{path}[{i}]", depth + 1, counter, problems) for i, n in enumerate(node.value))
        return Sequence(line, tuple(items))
    entries: dict[str, Node] = {}
    for key, value in node.value:
        key_line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
            shown = f"`{key.value}`" if isinstance(key, yaml.ScalarNode) else "a list or mapping"
            problems.note(key_line, path, Rule.KEY_TEXT, f"a key must be text, not {shown}: put it in quotes")
        elif key.value in entries:
            problems.note(key_line, f"{path}.{key.value}", Rule.KEY_TWICE, "this key stands twice")
        else:
            entries[key.value] = _convert(value, f"{path}.{key.value}", depth + 1, counter, problems)
    return Mapping(line, entries)
