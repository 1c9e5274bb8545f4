"""Decision -> what is to be done when the model's response comes by."""

from meshtrial.assign.decide import Decision
from meshtrial.assign.unit import NoUnit
from meshtrial.pseudonym import PseudonymKey
from meshtrial.record.exposure import unit_pseudonym


def wants_response(decision: Decision) -> bool:
    """Whether the response's headers are to be seen: a cookie is to be set, or outcomes may be in them."""
    return any(a.subject.minted or a.experiment.response_outcomes for a in decision)


def minted_cookies(decision: Decision) -> list[str]:
    """Values of `set-cookie`, one for each cookie that the request lacked.

    https://www.rfc-editor.org/rfc/rfc6265#section-4.1: for HTTPS alone, out of reach of scripts, and not sent
    along by other sites' requests.
    """
    found: dict[str, str] = {}
    for assignment in decision:
        unit, value = assignment.experiment.unit, assignment.subject.unit
        if assignment.subject.minted and not isinstance(value, NoUnit):
            lasting = f"Max-Age={unit.mint}; Path=/; Secure; HttpOnly; SameSite=Lax"
            found[unit.source.name] = f"{unit.source.name}={value.decode()}; {lasting}"
    return list(found.values())


def reporting_units(decision: Decision, key: PseudonymKey) -> list[tuple[str, str]]:
    """Kind and pseudonym of each unit that the response's outcomes belong to, each once."""
    found = {
        (a.experiment.unit.kind, pseudonym)
        for a in decision
        if a.experiment.response_outcomes and (pseudonym := unit_pseudonym(a, key)) is not None
    }
    return sorted(found)
