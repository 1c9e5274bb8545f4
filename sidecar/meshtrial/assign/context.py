"""What a decision knows besides the request and the plan."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from meshtrial.assign.baggage import Carried
from meshtrial.plan.model import Experiment


@dataclass(frozen=True, slots=True)
class Kept:
    """A sticky unit's first assignment."""

    arm: str
    phase: str
    """The phase that it was made in, which it is analysed by."""


def _nobody(_kind: str, _unit: bytes) -> str:
    return ""


def _nothing(_experiment: Experiment, _unit: bytes) -> Kept | None:
    return None


@dataclass(frozen=True, slots=True)
class Context:
    """Time, chance, and what was signed or kept before."""

    now: int = 0
    """Nanoseconds since 1970."""
    chance: bytes = bytes(16)
    """Random bytes of this request, 16 or more: what a minted cookie is made of."""
    forced: Mapping[str, str] = field(default_factory=dict)
    """Arms by experiment that a tester's signed header asks for."""
    carried: Mapping[str, Carried] = field(default_factory=dict)
    """Arms by experiment that an earlier hop signed."""
    pseudonym: Callable[[str, bytes], str] = _nobody
    """Pseudonym of a kind and a unit: what a carried arm is bound to."""
    kept: Callable[[Experiment, bytes], Kept | None] = _nothing
    """First assignment of a sticky experiment's unit."""


EMPTY = Context()
