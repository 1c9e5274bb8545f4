"""The rules a plan can break, and the list of those it does."""

from enum import StrEnum

from meshtrial.errors import Problem


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
    CHOICE = "choice"
    RANGE = "range"
    PERCENTAGE = "percentage"
    DURATION = "duration"
    EFFECT = "effect"
    METRIC_VALUE = "metric-value"
    METRIC_UNDEFINED = "metric-undefined"
    METRIC_TWICE = "metric-twice"
    UNIT_KIND = "unit-kind"
    HEADER_NAME = "header-name"
    HEADER_VALUE = "header-value"
    CLUSTER_NAME = "cluster-name"
    PATH_PREFIX = "path-prefix"
    CONTROL_UNDEFINED = "control-undefined"
    ARMS_COUNT = "arms-count"
    WEIGHTS_SUM = "weights-sum"
    WEIGHT_BUCKET = "weight-bucket"
    SALTS_EQUAL = "salts-equal"
    CLUSTER_CHOSEN_TWICE = "cluster-chosen-twice"


class Problems:
    """Collects every broken rule of one document; reading goes on after each."""

    def __init__(self) -> None:
        self._found: list[Problem] = []

    def note(self, line: int, path: str, rule: Rule, message: str) -> None:
        """Note one broken rule at a 1-based line and a `$` path."""
        self._found.append(Problem(line, path, rule.value, message))

    def found(self) -> tuple[Problem, ...]:
        """All notes in document order."""
        return tuple(sorted(self._found))
