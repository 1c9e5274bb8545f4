"""YAML text -> a tree of nodes that know their line.

PyYAML's own constructor drops line numbers, keeps the last of two equal keys and reads `off` as a
boolean where a name was meant; its composer follows nesting until the stack ends. The tree is built
from the parser's events instead: it keeps what was written, so that each of these is an error with
a place, and no text costs more than the limits below. Whether a text is a plan or a configuration with a
plan in it is told by the keys of the tree while it grows, so that no text is read twice.
"""

from dataclasses import dataclass, field, replace
from typing import TypeVar

import yaml

from meshtrial.plan.problems import Problems, Rule, child, shown

MAX_CHARACTERS = 1_000_000
"""A plan of 1,000 experiments is about 600 kB."""
MAX_NODES = 200_000
"""Nodes after aliases are followed: bounds what an alias bomb can cost."""
MAX_DEPTH = 32
"""The deepest place of a plan is 8 deep."""

_YAML_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one document may cost to read."""

    what: str
    """What the document is to be: `a plan`."""
    characters: int
    nodes: int
    """After aliases are followed."""
    depth: int
    """Lists and mappings within each other."""
    documents: int = 1


PLAN = Limits("a plan", MAX_CHARACTERS, MAX_NODES, MAX_DEPTH)
PROXY = Limits("an Envoy configuration", 20_000_000, 1_000_000, 100, documents=1000)
"""What a plan may stand within: a configuration of Envoy, a list of Kubernetes documents.

A million nodes take about four seconds.
"""

PLAN_VERSION = "meshtrial/"
"""How the `apiVersion` of a plan begins."""
_AT_ROOT = frozenset(
    {
        *("static_resources", "staticResources", "dynamic_resources", "dynamicResources"),  # a bootstrap
        *("resources", "configs"),  # a file of resources, a dump
        "kind",  # a Kubernetes document
    }
)
_ANYWHERE = frozenset({"filter_metadata", "filterMetadata"})


@dataclass(frozen=True, slots=True)
class Scalar:
    """A leaf."""

    line: int
    """1-based."""
    text: str
    kind: str
    """What YAML takes it for: str, int, float, bool, null; another tag as it is."""


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
    places: dict[str, str] = field(default_factory=dict)
    """Paths of entries that stand elsewhere than below this mapping's own path."""


Node = Scalar | Sequence | Mapping


class _Unreadable(Exception):
    """Reading cannot go on after this."""

    def __init__(self, line: int, path: str, message: str) -> None:
        super().__init__(line, path, message)
        self.line, self.path, self.message = line, path, message


def read_tree(text: str, problems: Problems, limits: Limits = PLAN) -> Node | None:
    """Read one YAML document; None, with the problem noted, where it is no readable document."""
    documents, _ = _noted(text, problems, replace(limits, documents=1), undecided=False)
    return documents[0] if documents else None


def read_either(text: str, problems: Problems) -> tuple[list[Node], bool]:
    """Read a plan, or all documents of a configuration.

    A text whose root has an `apiVersion` of `meshtrial/` is a plan, whatever else it says. Another one with a
    key that only a proxy's or Kubernetes' documents have is a configuration. All others are plans, with
    the limits and the errors of one.

    Returns:
        The documents, none with the problem noted where one is not readable; whether they are a
        configuration.
    """
    return _noted(text, problems, PLAN, undecided=True)


def _noted(text: str, problems: Problems, limits: Limits, *, undecided: bool) -> tuple[list[Node], bool]:
    """What is read, and whether with the limits of a configuration; what prevents it is noted."""
    try:
        return _read(text, problems, limits, undecided=undecided)
    except _Unreadable as error:
        problems.note(error.line, error.path, Rule.YAML, error.message)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        problems.note(line, "$", Rule.YAML, f"not readable as YAML: {error.problem or error.context}")
    except yaml.reader.ReaderError as error:
        line = text.encode().count(b"\n", 0, error.position) + 1
        problems.note(line, "$", Rule.YAML, f"not readable as YAML: {error.reason}")
    return [], False


def _check_length(length: int, limits: Limits) -> None:
    if length > limits.characters:
        message = f"the document has {length:,} characters, the limit is {limits.characters:,}"
        raise _Unreadable(0, "$", message)


def _read(text: str, problems: Problems, limits: Limits, *, undecided: bool) -> tuple[list[Node], bool]:
    _check_length(len(text), PROXY if undecided else limits)
    try:
        parser = yaml.CSafeLoader(text)
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise _Unreadable(line, "$", "not readable as YAML: half of a surrogate pair is no text") from error
    try:
        composer = _Composer(parser, problems, limits, len(text) if undecided else None)
        found = composer.documents()
        _check_length(len(text), composer.limits)
        return found, composer.limits is PROXY
    finally:
        parser.dispose()


_Event = TypeVar("_Event", bound=yaml.Event)


class _Composer:
    """Builds the nodes of one document from the parser's events.

    Source of their order: YAML 1.1, chapter 3.1, the serialisation tree.
    """

    def __init__(
        self, parser: yaml.CSafeLoader, problems: Problems, limits: Limits, undecided: int | None
    ) -> None:
        self._parser = parser
        self._problems = problems
        self.limits = limits
        """Those of a configuration from the key on that tells so."""
        self._undecided = undecided
        """The text's length where its keys are yet to tell what it is."""
        self._anchors: dict[str, tuple[Node, int]] = {}
        """The node of each anchor, and how many nodes it holds."""
        self._count = 0

    def documents(self) -> list[Node]:
        """The documents of the stream."""
        self._next(yaml.StreamStartEvent)
        if self._parser.check_event(yaml.StreamEndEvent):
            raise _Unreadable(1, "$", "the document is empty")
        found: list[Node] = []
        while not self._parser.check_event(yaml.StreamEndEvent):
            start = self._next(yaml.DocumentStartEvent)
            if len(found) == self.limits.documents:
                raise _Unreadable(
                    _line(start), "$", f"a second document begins here; {self.limits.what} is one document"
                )
            self._anchors.clear()
            found.append(self._node(f"$[{len(found)}]" if found else "$", 0))
            self._next(yaml.DocumentEndEvent)
        return found

    def _next(self, expected: type[_Event]) -> _Event:
        event = self._parser.get_event()
        if not isinstance(event, expected):
            raise TypeError(f"{event} where {expected.__name__} was due")
        return event

    def _node(self, path: str, depth: int, key_line: int | None = None) -> Node:
        """The next node; a list or mapping stands at its key's line, where a reader looks for it."""
        event = self._next(yaml.NodeEvent)
        line = _line(event)
        if depth > self.limits.depth:
            raise _Unreadable(line, path, f"the document is nested deeper than {self.limits.depth} here")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event.anchor or "", path, line)
        before = self._count
        self._add(1, path, line)
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, line)
        elif isinstance(event, yaml.CollectionStartEvent):
            node = self._collection(event, path, depth, key_line or line)
        if event.anchor is not None:
            self._anchors[event.anchor] = (node, self._count - before)
        return node

    def _add(self, nodes: int, path: str, line: int) -> None:
        self._count += nodes
        if self._count > self.limits.nodes:
            message = f"up to here the document has over {self.limits.nodes:,} nodes, aliases followed"
            raise _Unreadable(line, path, message)

    def _alias(self, anchor: str, path: str, line: int) -> Node:
        if anchor not in self._anchors:
            raise _Unreadable(
                line, path, f"no node that ends before this alias has the anchor {shown(anchor)}"
            )
        node, size = self._anchors[anchor]
        self._add(size, path, line)
        return node

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> Scalar:
        tag = event.tag
        if tag is None:
            tag = self._parser.resolve(yaml.ScalarNode, event.value, event.implicit)  # type: ignore[no-untyped-call] # its stub has no types
        return Scalar(line, event.value, str(tag).removeprefix(_YAML_TAG))

    def _collection(self, event: yaml.CollectionStartEvent, path: str, depth: int, line: int) -> Node:
        is_list = isinstance(event, yaml.SequenceStartEvent)
        if event.tag not in {None, _YAML_TAG + ("seq" if is_list else "map")}:
            self._problems.note(line, path, Rule.YAML, f"the tag {shown(event.tag)} has no meaning here")
        return self._sequence(path, depth, line) if is_list else self._mapping(path, depth, line)

    def _sequence(self, path: str, depth: int, line: int) -> Sequence:
        items: list[Node] = []
        while not self._parser.check_event(yaml.SequenceEndEvent):
            items.append(self._node(f"{path}[{len(items)}]", depth + 1))
        self._next(yaml.SequenceEndEvent)
        return Sequence(line, tuple(items))

    def _mapping(self, path: str, depth: int, line: int) -> Mapping:
        entries: dict[str, Node] = {}
        while not self._parser.check_event(yaml.MappingEndEvent):
            key_node = self._node(path, depth + 1)
            key = self._key(key_node, path)
            place = path if key is None else child(path, key)
            if self._undecided is not None and (key in _ANYWHERE or (path == "$" and key in _AT_ROOT)):
                self.limits = PROXY
            value = self._node(place, depth + 1, key_node.line)
            if key is None:
                continue
            if self._undecided is not None and place == "$.apiVersion":
                self._settle(value, self._undecided)
            if key in entries:
                self._problems.note(key_node.line, place, Rule.KEY_TWICE, "this key stands twice")
            else:
                entries[key] = value
        self._next(yaml.MappingEndEvent)
        return Mapping(line, entries)

    def _settle(self, version: Node, length: int) -> None:
        """A plan's `apiVersion` makes it a plan for good."""
        if isinstance(version, Scalar) and version.text.startswith(PLAN_VERSION):
            self.limits, self._undecided = PLAN, None
            _check_length(length, PLAN)

    def _key(self, node: Node, path: str) -> str | None:
        """The key's text; None where nothing can be read under it."""
        match node:
            case Scalar(text=text, kind="str"):
                return text
            case Scalar(kind="merge"):
                message = "merge keys are not read: write the keys out, or use an alias for the whole value"
            case Scalar(line, text):
                message = f"a key must be text, not {shown(text)}: put it in quotes"
                self._problems.note(line, child(path, text), Rule.KEY_TEXT, message)
                return text
            case _:
                message = "a key must be text, not a list or mapping"
        self._problems.note(node.line, path, Rule.KEY_TEXT, message)
        return None


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0
