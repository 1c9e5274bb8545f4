"""A Plan with everything that is made from it once, swapped whole."""

from dataclasses import dataclass
from typing import Self

from meshtrial.doors.answers import Answers
from meshtrial.plan.model import Plan
from meshtrial.plan.needs import Needs, needs_of


@dataclass(frozen=True, slots=True)
class InForce:
    """What a session decides with, from its first message to its last."""

    plan: Plan
    answers: Answers
    needs: Needs

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """Prepare a plan; takes as long as it has arms."""
        return cls(plan, Answers(plan), needs_of(plan))
