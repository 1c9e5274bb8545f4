"""Two plans -> what the roll-out of the new one would change: who moves, which phases start, what biases."""

from dataclasses import dataclass
from enum import StrEnum

from meshtrial.plan.bias import Warned, warnings_of
from meshtrial.plan.model import Plan
from meshtrial.plan.moves import Move, moves_of, reassigned


class Kind(StrEnum):
    """What becomes of an experiment."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one experiment."""

    id: str
    kind: Kind
    old_phase: str | None
    """None where the old plan has no such experiment."""
    new_phase: str | None
    reassigned: bool
    """All units are assigned anew: moves are the shares to expect of a random assignment."""
    moves: tuple[Move, ...] | None
    """By cohort, the default first; None where the shares cannot be told (see the warnings)."""
    warnings: tuple[Warned, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """What a new plan changes."""

    old: str
    """Digest of the old plan."""
    new: str
    changes: tuple[Change, ...]
    """One for each experiment of either plan, in order of their ids."""


def diff(old: Plan, new: Plan) -> Difference:
    """What the roll-out of a new plan would change."""
    ids = sorted({e.id for e in old.experiments} | {e.id for e in new.experiments})
    return Difference(old.digest, new.digest, tuple(_change(i, old, new) for i in ids))


def _change(experiment_id: str, old: Plan, new: Plan) -> Change:
    before, after = old.experiment(experiment_id), new.experiment(experiment_id)
    moves = moves_of(before, after)
    warnings = warnings_of(before, after, moves)
    if before is None or after is None:
        kind, anew = (Kind.ADDED if before is None else Kind.REMOVED), False
    else:
        # What differs and moves or biases nothing, such as `exposures`, is a change all the same.
        kind, anew = (Kind.SAME if before == after else Kind.CHANGED), reassigned(before, after)
    return Change(
        experiment_id,
        kind,
        before.phase if before else None,
        after.phase if after else None,
        anew,
        moves,
        warnings,
    )
