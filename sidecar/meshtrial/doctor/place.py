"""A place in a configuration: what stands there, or that nothing does, and where a reader finds it."""

import re
from collections.abc import Sequence as Listed
from dataclasses import dataclass

from meshtrial.plan.problems import child
from meshtrial.plan.tree import Mapping, Node, Scalar, Sequence

_DURATION = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_TYPED_STRUCT = "xds.type.v3.TypedStruct"


@dataclass(frozen=True, slots=True)
class Place:
    """A node and where it stands; an absent one stands where its nearest parent does.

    Fields are asked for by Envoy's snake_case names; the lowerCamelCase of protobuf's JSON is found
    as well (https://protobuf.dev/programming-guides/json/).
    """

    source: str
    """The document's name as the user gave it."""
    line: int
    path: str
    """`$` is the document's root."""
    node: Node | None
    """None where nothing stands here; `null` counts as nothing, as in protobuf's JSON."""

    @property
    def present(self) -> bool:
        """Whether something stands here."""
        return self.node is not None

    def get(self, *names: str) -> "Place":
        """The field below these names, one after the other."""
        place = self
        for name in names:
            place = place._field(name)
        return place

    def items(self) -> "tuple[Place, ...]":
        """The items of a list, none where this is no list."""
        if not isinstance(self.node, Sequence):
            return ()
        return tuple(
            Place(self.source, item.line, f"{self.path}[{index}]", item)
            for index, item in enumerate(self.node.items)
        )

    def entries(self) -> "tuple[tuple[str, Place], ...]":
        """The keys of a mapping with what stands there, none where this is no mapping."""
        if not isinstance(self.node, Mapping):
            return ()
        return tuple((key, self._at(key, node)) for key, node in self.node.entries.items())

    def text(self, default: str = "") -> str:
        """The text of a leaf, the default where there is none."""
        return self.node.text if isinstance(self.node, Scalar) else default

    def flag(self, default: bool = False) -> bool:
        """A boolean as YAML 1.1 writes it (`true`, `yes`, `on`), the default where there is none."""
        if not isinstance(self.node, Scalar):
            return default
        return self.node.text.lower() in {"true", "yes", "on"}

    def number(self, default: float) -> float:
        """A number, the default where there is none."""
        try:
            return float(self.text())
        except ValueError:
            return default

    def seconds(self, default: float) -> float:
        """A duration as protobuf's JSON writes it, `0.050s`; the default where there is none."""
        text = self.text().removesuffix("s")
        return float(text) if _DURATION.fullmatch(text) else default

    def choice(self, values: Listed[str]) -> str:
        """An enum's value by its name or its number, the first where there is none."""
        text = self.text(values[0])
        numbers = {str(number): value for number, value in enumerate(values)}
        return numbers.get(text, text)

    def kind(self) -> str:
        """The type that `@type` names, without what stands before the last slash."""
        kind = _after_slash(self._field("@type").text())
        return _after_slash(self._field("type_url").text()) if kind == _TYPED_STRUCT else kind

    def fields(self) -> "Place":
        """The fields of a typed message: beside `@type`, or in the `value` of a TypedStruct."""
        wrapped = _after_slash(self._field("@type").text()) == _TYPED_STRUCT
        return self._field("value") if wrapped else self

    def plain(self) -> object:
        """What stands here without its lines, for comparing two places."""
        if isinstance(self.node, Scalar):
            return self.node.text
        if isinstance(self.node, Sequence):
            return [item.plain() for item in self.items()]
        return {key: place.plain() for key, place in self.entries()}

    def _field(self, name: str) -> "Place":
        entries = self.node.entries if isinstance(self.node, Mapping) else {}
        for key in (name, _camel(name)):
            if key in entries:
                return self._at(key, entries[key])
        return Place(self.source, self.line, self.path, None)

    def _at(self, key: str, node: Node) -> "Place":
        absent = isinstance(node, Scalar) and node.kind == "null"
        return Place(self.source, node.line, child(self.path, key), None if absent else node)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _after_slash(url: str) -> str:
    return url.rpartition("/")[2]
