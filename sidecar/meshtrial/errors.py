"""Every error a user can meet.

::

    MeshtrialError            one sentence for a person; exit status 2 at the command line
    +-- PlanError             the plan document breaks rules; carries all of them
    +-- SettingError          a flag, variable, file or address that cannot be used
    +-- StoreError            the store cannot be opened, read or written
    |   +-- StoreLocked       another process writes to it
    +-- Refused               what came through a door cannot be taken; carries how to answer
    +-- NotExpressible        the target of an emission cannot say what the plan asks
    +-- NoData                the store holds nothing to answer from
    +-- DemoFailed            a step of the demo did not end as it must
    +-- NotStarted            another program that is needed did not come up
"""

from typing import NamedTuple


class MeshtrialError(Exception):
    """A documented failure whose text is meant for the user."""


class Problem(NamedTuple):
    """One broken rule of a document."""

    line: int
    """1-based line of the document, 0 where there is none."""
    path: str
    """Place in the document, `$` being its root: `$.experiments.rank-v2.arms`."""
    rule: str
    """The rule's fixed name, for programs and for tests."""
    message: str
    """What is wrong and what would be right."""


class PlanError(MeshtrialError):
    """A plan document that breaks at least one rule.

    Attributes:
        source: The document's name as the user gave it.
        problems: All broken rules, in document order.
    """

    def __init__(self, source: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(source, problems)
        self.source = source
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(f"{self.source}:{p.line}: {p.path}: {p.message} [{p.rule}]" for p in self.problems)


class SettingError(MeshtrialError):
    """A setting that is missing or cannot be used: file, key, address, port."""


class StoreError(MeshtrialError):
    """The store's files cannot be opened, read or written."""


class StoreLocked(StoreError):
    """Another process already writes to this store."""


class Refused(MeshtrialError):
    """A message that a door does not take.

    Attributes:
        status: HTTP status that says why (RFC 9110); the gRPC doors map it.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class NotExpressible(MeshtrialError):
    """A plan asks for what the target of an emission cannot do; never approximated."""


class NoData(MeshtrialError):
    """The store holds nothing that could answer."""


class NotStarted(MeshtrialError):
    """A program that was started did not come up; the message ends with its log's last lines."""


class DemoFailed(MeshtrialError):
    """A step of the demo did not end as it must."""
