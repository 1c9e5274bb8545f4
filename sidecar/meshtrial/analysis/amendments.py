"""Rules in force -> what was changed of the measuring and judging once units were in: pure.

A rule is worth what it is since it was written down before the data. What was changed after the first
exposure may have been changed for what the data showed, so a report lists it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Final, NamedTuple

from meshtrial.plan.inference import DecisionRule, Guardrail, Primary, Secondary

_ROLES: Final = ("primary", "guardrails", "secondary")


class Form(NamedTuple):
    """A rule that came into force."""

    at: int
    """When, nanoseconds since 1970."""
    plan: str
    """Digest of the plan that brought it."""
    rule: DecisionRule


class Amendment(NamedTuple):
    """One change."""

    at: int
    """When it came into force, nanoseconds since 1970."""
    plan: str
    """Digest of the plan that brought it."""
    changed: tuple[str, ...]
    """What: `decision.alpha`, `decision.primary.conversion.minimum_effect`, `metrics.conversion.window`."""


def amendments_of(forms: Sequence[Form], begun: int) -> tuple[Amendment, ...]:
    """All changes, in order of time.

    Args:
        forms: At least one, by time; the last one is what the report judges by.
        begun: End of the period of the first exposure, nanoseconds since 1970: a form that came before was
            free to be changed.
    """
    free = max([0, *(number for number, form in enumerate(forms) if form.at < begun)])
    found, rule = [], forms[free].rule
    for form in forms[free + 1 :]:
        if changed := tuple(changes(rule, form.rule)):
            found.append(Amendment(form.at, form.plan, changed))
        rule = form.rule
    return tuple(found)


def changes(old: DecisionRule, new: DecisionRule) -> Iterator[str]:
    """Names of what differs between two rules and their metrics, as a plan nests them."""
    for name in _names(old):
        if name not in _ROLES and getattr(old, name) != getattr(new, name):
            yield f"decision.{name}"
    for role in _ROLES:
        before, after = _entries(old, role), _entries(new, role)
        if list(before) != list(after):
            yield f"decision.{role}"
        for entry in sorted(before.keys() & after.keys()):
            for name in _names(before[entry]):
                one, other = (getattr(entries[entry], name) for entries in (before, after))
                if name != "metric" and one != other:
                    yield f"decision.{role}.{entry}.{name}"
    measured = {metric.id: metric for metric in old.metrics()}
    for metric in new.metrics():
        if (was := measured.get(metric.id)) is not None:
            yield from (
                f"metrics.{metric.id}.{name}"
                for name in _names(was)
                if getattr(was, name) != getattr(metric, name)
            )


def _entries(rule: DecisionRule, role: str) -> Mapping[str, Primary | Guardrail | Secondary]:
    entries: tuple[Primary | Guardrail | Secondary, ...] = getattr(rule, role)
    return {entry.metric.id: entry for entry in entries}


def _names(of: object) -> list[str]:
    return [field.name for field in fields(of)]  # type: ignore[arg-type] # only dataclasses are passed
