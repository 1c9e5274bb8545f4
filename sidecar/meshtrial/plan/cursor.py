"""Reading a tree strictly: each reader gives a value, or notes what is wrong and gives None."""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from meshtrial.plan.problems import Problems, Rule, child, listed, shown
from meshtrial.plan.tree import Mapping, Node, Scalar, Sequence

NAME = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
"""Ids. Each is also an RFC 8941 key and token, so that `x-meshtrial-arms` needs no quoting."""

_NUMBER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{0,12})?")
"""Plain decimals: no exponent, no octal (YAML 1.1's `010` is 8), no NaN; exact in `Decimal`."""
_TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]*")
"""One line of any script: each of the characters left out has another meaning to YAML or JSON."""

NUMBER_FORM = "a number written plainly, such as 12.5, with at most 12 digits after the point"

_Value = TypeVar("_Value")
_Choice = TypeVar("_Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Cursor:
    """One place in a document."""

    node: Node
    path: str
    problems: Problems

    def fail(self, rule: Rule, message: str) -> None:
        """Note that this place breaks a rule."""
        self.problems.note(self.node.line, self.path, rule, message)

    def entries(self) -> dict[str, "Cursor"]:
        """A mapping with free keys (ids), at least one; empty, with the problem noted, where it is none."""
        if not isinstance(self.node, Mapping):
            self.fail(Rule.TYPE, f"expected a mapping, found {_described(self.node)}")
            return {}
        if not self.node.entries:
            self.fail(Rule.EMPTY, "at least one entry is needed")
        return {key: self._entry(key, node) for key, node in self.node.entries.items()}

    def fields(
        self, required: Collection[str], optional: Collection[str] = (), later: Collection[str] = ()
    ) -> "Fields":
        """A mapping with fixed keys; no fields, with the problem noted, where it is none.

        Args:
            required: Keys that must stand.
            optional: Keys that may.
            later: Keys of the plan language that this version does not support: refused by name,
                so that a plan never means less than it says.
        """
        if not isinstance(self.node, Mapping):
            self.fail(Rule.TYPE, f"expected a mapping, found {_described(self.node)}")
            return Fields({}, sound=False)
        known = (*required, *optional)
        for key, node in self.node.entries.items():
            if key in later:
                message = f"`{key}` is not supported by this version yet"
                self._entry(key, node).fail(Rule.NOT_SUPPORTED, message)
            elif key not in known:
                hint = self.problems.suggestion(key, known) or f"; known here: {listed(known)}"
                message = f"unknown key {shown(key)}{hint}"
                self._entry(key, node).fail(Rule.KEY_UNKNOWN, message)
        for key in required:
            if key not in self.node.entries:
                self.fail(Rule.KEY_MISSING, f"the key `{key}` is required")
        present = {k: self._entry(k, n) for k, n in self.node.entries.items() if k in known}
        return Fields(present, sound=present.keys() == self.node.entries.keys())

    def items(self) -> Iterator["Cursor"]:
        """The items of a list, at least one."""
        if not isinstance(self.node, Sequence):
            self.fail(Rule.TYPE, f"expected a list, found {_described(self.node)}")
            return
        if not self.node.items:
            self.fail(Rule.EMPTY, "at least one entry is needed")
        for index, node in enumerate(self.node.items):
            yield self._at(f"{self.path}[{index}]", node)

    def text(self) -> str | None:
        """Text; a number or boolean must be quoted to be text."""
        if isinstance(self.node, Scalar) and self.node.kind == "str":
            return self.node.text
        quotable = isinstance(self.node, Scalar) and self.node.text != ""
        hint = ": put it in quotes" if quotable else ""
        self.fail(Rule.TYPE, f"expected text, found {_described(self.node)}{hint}")
        return None

    def line_of_text(self, limit: int = 256) -> str | None:
        """Text of up to `limit` characters on one line, which may be empty."""
        text = self.text()
        if text is None or (len(text) <= limit and _TEXT.fullmatch(text)):
            return text
        self.fail(Rule.TEXT, f"must be one line of at most {limit} characters, without control characters")
        return None

    def name(self) -> str | None:
        """An id that others refer to."""
        text = self.text()
        return text if text is not None and check_name(text, self) else None

    def number(self) -> Decimal | None:
        """A finite number, exactly as written."""
        if isinstance(self.node, Scalar) and self.node.kind in {"int", "float"}:
            text = self.node.text
            if _NUMBER.fullmatch(text):
                return Decimal(text)
        self.fail(Rule.TYPE, f"expected {NUMBER_FORM}, found {_described(self.node)}")
        return None

    def integer(self, low: int, high: int) -> int | None:
        """A whole number in low..high."""
        number = self.number()
        if number is None:
            return None
        if number != number.to_integral_value() or not low <= number <= high:
            self.fail(Rule.RANGE, f"must be a whole number from {low:,} to {high:,}, not {number:,}")
            return None
        return int(number)

    def choice(self, choices: type[_Choice], later: Collection[str] = ()) -> _Choice | None:
        """One of a fixed set of words; `later` are words that a later version will know."""
        text = self.text()
        if text is None:
            return None
        if text in later:
            self.fail(Rule.NOT_SUPPORTED, f"`{text}` is not supported by this version yet")
            return None
        try:
            return choices(text)
        except ValueError:
            hint = self.problems.suggestion(text, [*choices])
            self.fail(Rule.CHOICE, f"must be one of {', '.join(choices)}, not {shown(text)}{hint}")
            return None

    def known(self, names: Collection[str], rule: Rule, what: str, where: str) -> str | None:
        """A name that stands among these; `what` it names, `where` those stand, for the message."""
        name = self.name()
        if name is None or name in names:
            return name
        hint = self.problems.suggestion(name, names) or (f"; known: {listed(names)}" if names else "")
        self.fail(rule, f"no {what} `{name}` stands under {where}{hint}")
        return None

    def between(self, low: Decimal, high: Decimal) -> float | None:
        """A number between two bounds, which are excluded."""
        number = self.number()
        if number is None:
            return None
        if not low < number < high:
            self.fail(Rule.RANGE, f"must be above {low} and below {high}, not {number}")
            return None
        return float(number)

    def boolean(self) -> bool | None:
        """`true` or `false`, in these words: not YAML 1.1's `yes` or `off`."""
        if isinstance(self.node, Scalar) and self.node.kind == "bool" and self.node.text in {"true", "false"}:
            return self.node.text == "true"
        self.fail(Rule.TYPE, f"expected `true` or `false`, found {_described(self.node)}")
        return None

    def as_key(self, key: str) -> "Cursor":
        """A cursor at this place that reads the key's text, for keys that are checked like values."""
        return Cursor(Scalar(self.node.line, key, "str"), self.path, self.problems)

    def true(self, rule: Rule) -> bool | None:
        """The boolean `true`, which is all that may stand here."""
        if isinstance(self.node, Scalar) and self.node.kind == "bool" and self.node.text == "true":
            return True
        self.fail(rule, f"expected `true`, found {_described(self.node)}")
        return None

    def parsed(self, parse: Callable[[str], _Value | None], rule: Rule, expected: str) -> _Value | None:
        """A scalar in a notation of its own; `expected` says what it looks like."""
        if isinstance(self.node, Scalar):
            value = parse(self.node.text)
            if value is not None:
                return value
        self.fail(rule, f"expected {expected}, found {_described(self.node)}")
        return None

    def _entry(self, key: str, node: Node) -> "Cursor":
        places = self.node.places if isinstance(self.node, Mapping) else {}
        return self._at(places.get(key) or child(self.path, key), node)

    def _at(self, path: str, node: Node) -> "Cursor":
        return Cursor(node, path, self.problems)


@dataclass(frozen=True, slots=True)
class Fields:
    """The known keys that stand in one mapping."""

    present: dict[str, Cursor]
    sound: bool
    """Whether the mapping is one, and holds no other keys: if not, that is already noted."""

    def read(self, key: str, reader: Callable[[Cursor], _Value | None]) -> _Value | None:
        """What the reader makes of the key's value; None where the key is absent."""
        return reader(self.present[key]) if key in self.present else None

    def __contains__(self, key: str) -> bool:
        return key in self.present

    def __getitem__(self, key: str) -> Cursor:
        return self.present[key]


def check_name(text: str, cursor: Cursor) -> bool:
    """Whether text is a valid id; if not, that is noted at the cursor."""
    if NAME.fullmatch(text):
        return True
    cursor.fail(Rule.NAME, f"{shown(text)} is no name: a lower-case letter, then up to 63 of a-z 0-9 _ . -")
    return False


def _described(node: Node) -> str:
    match node:
        case Mapping():
            return "a mapping"
        case Sequence():
            return "a list"
        case Scalar(kind="null"):
            return "nothing"
        case Scalar(text=text, kind="str"):
            return f"the text {shown(text)}"
        case Scalar(text=text, kind="bool"):
            return f"the boolean {shown(text)}"
        case _:
            return shown(node.text)
