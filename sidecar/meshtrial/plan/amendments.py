"""Two forms of one experiment -> what of its judging differs: keys, metrics, roles; pure.

A rule that is changed after the data began can follow the data, so no error rate is known to hold for it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields

from meshtrial.plan.inference import DecisionRule, Guardrail, Primary, Secondary
from meshtrial.plan.model import Experiment

_ROLES = ("primary", "guardrails", "secondary")


def amendments(old: Experiment, new: Experiment) -> tuple[str, ...]:
    """What differs in how units are judged, as the document names it; empty where nothing does.

    `alpha`; `primary` where its entries or their order differ; "metric `revenue`" where the definition of one
    that both name does.
    """
    keys = [f"`{key}`" for key in _keys(old.decision, new.decision)]
    before = {metric.id: metric for metric in old.decision.metrics()}
    metrics = [
        f"metric `{metric.id}`"
        for metric in new.decision.metrics()
        if before.get(metric.id, metric) != metric
    ]
    return (*keys, *metrics, *_of_the_unit(old, new))


def _keys(old: DecisionRule, new: DecisionRule) -> Iterator[str]:
    for each in fields(DecisionRule):
        one, other = getattr(old, each.name), getattr(new, each.name)
        if each.name in _ROLES:
            one, other = _named(one), _named(other)
        if one != other:
            # A boundary that spends stands under another key.
            both = (old.boundary, new.boundary)
            spends = each.name == "boundary" and all(found is None or found.spending for found in both)
            yield "spending" if spends else each.name


def _named(entries: Iterable[Primary | Guardrail | Secondary]) -> Sequence[tuple[object, ...]]:
    """Entries of a list, each with its metric's id for the metric."""
    return [
        (entry.metric.id, *(getattr(entry, each.name) for each in fields(entry) if each.name != "metric"))
        for entry in entries
    ]


def _of_the_unit(old: Experiment, new: Experiment) -> Iterator[str]:
    one, other = old.unit.switchback, new.unit.switchback
    if one is not None and other is not None:
        for key in ("washout", "carryover"):
            if getattr(one, key) != getattr(other, key):
                yield f"`{key}`"
    if old.neighbours != new.neighbours:
        yield "`neighbours`"
