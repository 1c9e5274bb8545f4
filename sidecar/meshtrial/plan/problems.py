"""The rules a plan can break, and the list of those it does."""

import json
import re
from collections.abc import Collection
from difflib import get_close_matches
from enum import StrEnum

from meshtrial.errors import Problem

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_SHOWN_LENGTH = 60
"""Characters of a document's text that a message repeats."""
_LISTED = 24
"""Known names that a message lists."""
MAX_COMPARISONS = 10_000
"""Names that misspelt ones of a document are held against: each takes up to a tenth of a millisecond."""


class Rule(StrEnum):
    """Fixed names of all rules; `tests/plans/bad/<rule>.yaml` breaks each."""

    YAML = "yaml"
    KEY_TEXT = "key-text"
    KEY_TWICE = "key-twice"
    KEY_UNKNOWN = "key-unknown"
    KEY_MISSING = "key-missing"
    NOT_SUPPORTED = "not-supported"
    TYPE = "type"
    EMPTY = "empty"
    API_VERSION = "api-version"
    NAME = "name"
    TEXT = "text"
    CHOICE = "choice"
    RANGE = "range"
    DURATION = "duration"
    EFFECT = "effect"
    METRIC_KEY = "metric-key"
    METRIC_VALUE = "metric-value"
    METRIC_REQUEST = "metric-request"
    CAP = "cap"
    COVARIATE = "covariate"
    METRIC_UNDEFINED = "metric-undefined"
    METRIC_TWICE = "metric-twice"
    METHOD_KEY = "method-key"
    METHOD_UNIT = "method-unit"
    LOOKS = "looks"
    BOUNDARY = "boundary"
    UNIT_KIND = "unit-kind"
    UNIT_SET = "unit-set"
    HEADER_NAME = "header-name"
    HEADER_VALUE = "header-value"
    CLUSTER_NAME = "cluster-name"
    PATH_PREFIX = "path-prefix"
    CONTROL_UNDEFINED = "control-undefined"
    ARMS_COUNT = "arms-count"
    WEIGHTS_SUM = "weights-sum"
    WEIGHT_BUCKET = "weight-bucket"
    EXPERIMENTS_COUNT = "experiments-count"
    SALTS_EQUAL = "salts-equal"
    CLUSTER_CHOSEN_TWICE = "cluster-chosen-twice"
    CLUSTER_SOME = "cluster-some"
    HEADER_SET_TWICE = "header-set-twice"
    CONTROLS_DIFFER = "controls-differ"
    COOKIE_NAME = "cookie-name"
    QUERY_NAME = "query-name"
    METADATA_PATH = "metadata-path"
    HOST = "host"
    METHOD = "method"
    CONDITION = "condition"
    COHORT_UNDEFINED = "cohort-undefined"
    PERCENTAGE = "percentage"
    REGEX = "regex"
    SEMVER = "semver"
    STRATA = "strata"
    NEIGHBOURS = "neighbours"
    STICKY = "sticky"
    CARRY = "carry"
    LAYER_UNDEFINED = "layer-undefined"
    LAYER_UNIT = "layer-unit"
    SLICE = "slice"
    SLICES_OVERLAP = "slices-overlap"
    EMBEDDED = "embedded"
    CLUSTER_UNDEFINED = "cluster-undefined"
    MINTS_DIFFER = "mints-differ"


class Problems:
    """Collects every broken rule of one document; reading goes on after each."""

    def __init__(self) -> None:
        self._found: list[Problem] = []
        self._comparisons = 0
        self._costly: set[str] = set()
        self._spent = 0

    def note(self, line: int, path: str, rule: Rule, message: str) -> None:
        """Note one broken rule at a 1-based line and a `$` path."""
        self._found.append(Problem(line, path, rule.value, message))

    def found(self) -> tuple[Problem, ...]:
        """All notes in document order."""
        return tuple(sorted(self._found))

    def affords(self, text: str, limit: int) -> bool:
        """Whether a text that is costly to check stays within the characters of all different ones."""
        if text not in self._costly:
            self._costly.add(text)
            self._spent += len(text)
        return self._spent <= limit

    def suggestion(self, text: str, known: Collection[str]) -> str:
        """`; did you mean ...?`; nothing where no known name is near, or too many were looked at before."""
        self._comparisons += len(known)
        if self._comparisons > MAX_COMPARISONS:
            return ""
        return suggestion(text, known)


def suggestion(text: str, known: Collection[str]) -> str:
    """`; did you mean ...?`; nothing where no known name is near."""
    near = get_close_matches(text[:_SHOWN_LENGTH], known, n=1)
    return f"; did you mean `{near[0]}`?" if near else ""


def listed(known: Collection[str]) -> str:
    """Names for a message, the first of them where they are many."""
    more = f" and {len(known) - _LISTED:,} more" if len(known) > _LISTED else ""
    return ", ".join([*known][:_LISTED]) + more


def child(path: str, key: str) -> str:
    """The path of a mapping's key: `$.arms.v1`, or `$.arms["v1.2"]` where a dot would mislead."""
    if _PLAIN_KEY.fullmatch(key):
        return f"{path}.{key}"
    return f"{path}[{printable(json.dumps(_cut(key), ensure_ascii=False))}]"


def shown(text: str) -> str:
    """Text of the document for a message: in backticks, on one line, at most 60 characters of it."""
    return f"`{printable(_cut(text))}`"


def printable(text: str) -> str:
    """Text with what does not print escaped: control characters would steer the reader's terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 1] + "…"
