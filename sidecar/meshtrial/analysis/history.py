"""What was recorded of an experiment's earlier plans -> which allocation and rule was in force when.

Pure, but for the text of the queries. Times are nanoseconds since 1970.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from meshtrial.errors import PlanError
from meshtrial.plan.load import load
from meshtrial.plan.model import Experiment, Mode
from meshtrial.store.engine import quoted

FOREVER: Final = 2**63 - 1
"""After every time that a store can hold."""


_Form = tuple[int, str, Experiment]
"""When a form came into force, the digest of its plan, and the form."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One stretch of time with one form of the experiment."""

    phase: str
    plan: str
    """Digest of the first plan that had this form."""
    since: int
    """When it came into force: a phase with its first exposure, what else changes with its document."""
    until: int
    """When it was in force no more: the next entry's `since`, or later where a sidecar still recorded
    exposures of its phase then; `FOREVER` of the last one."""
    experiment: Experiment


@dataclass(frozen=True, slots=True)
class Unknown:
    """A phase that has exposures and no document that can be read: nobody knows its allocation."""

    phase: str
    since: int
    """Its first exposure."""
    until: int
    """After its last exposure."""


@dataclass(frozen=True, slots=True)
class History:
    """The forms of one experiment, as far as they are known."""

    entries: tuple[Entry, ...]
    """By `since`; two that follow each other differ in the experiment."""
    unknown: tuple[Unknown, ...]
    unread: int
    """Documents that could not be read, each counted once: a newer version's, or damaged ones."""


def documents_query(experiment_id: str) -> str:
    """Rows (time, plan digest, document, 1 of an import) of what was recorded when plans came into force."""
    return f"""
SELECT Time, Plan, SpanAttributes['meshtrial.experiment.document'],
  CASE WHEN SpanAttributes['meshtrial.imported'] = 'true' THEN 1 ELSE 0 END
FROM spans
WHERE SpanName = 'meshtrial.experiment' AND Experiment = {quoted(experiment_id)} AND Plan IS NOT NULL
  AND Time IS NOT NULL AND SpanAttributes['meshtrial.experiment.document'] IS NOT NULL
ORDER BY Time, TraceId
"""


def history_of(
    documents: Iterable[tuple[int, str, str, int]],
    phases: Iterable[tuple[str, int, int]],
    plan: str,
    present: Experiment,
) -> History:
    """Put together what was in force when.

    Args:
        documents: Rows of `documents_query`.
        phases: Rows (phase, first time, last time) of its exposures (`tallies.Tallies.phases`).
        plan: Digest of the present plan.
        present: The experiment as the present plan has it: where its phase has exposures and no document,
            this stands for it.

    A document of an import says by which plan exposures of the past were read, at the time of the import. So
    the first one of a phase explains it, as does a sidecar's; another one of a phase is an amendment of its
    rule where the phase is still the latest one, and else, like one that is known already, says nothing new.
    """
    read: dict[str, Experiment | None] = {}
    forms: list[_Form] = []
    amended: list[_Form] = []
    for time, digest, document, imported in sorted(documents, key=lambda row: row[0]):
        if document not in read:
            read[document] = _experiment(document, present.id)
        elif imported:
            continue
        experiment = read[document]
        if experiment is not None:
            is_later = imported and any(form.phase == experiment.phase for _, _, form in forms)
            (amended if is_later else forms).append((time, digest, experiment))
    seen = {phase: (first, last) for phase, first, last in phases}
    if present.phase in seen and all(form.phase != present.phase for _, _, form in forms):
        forms.append((seen[present.phase][0], plan, replace(present, mode=Mode.RUNNING)))
        forms.sort(key=lambda form: form[0])
    known = {form.phase for _, _, form in forms}
    return History(
        entries=_entries(_amended(_dated(forms, seen), amended), seen),
        unknown=tuple(
            Unknown(phase, first, last + 1)
            for phase, (first, last) in sorted(seen.items(), key=lambda item: item[1])
            if phase not in known
        ),
        unread=sum(experiment is None for experiment in read.values()),
    )


def _experiment(document: str, experiment_id: str) -> Experiment | None:
    try:
        plan = load(document, "a recorded plan")
    except PlanError:
        return None
    return plan.experiment(experiment_id)


def _dated(forms: Sequence[_Form], seen: dict[str, tuple[int, int]]) -> list[_Form]:
    """Each phase from its first exposure on, where that came before the next form did."""
    dated: list[_Form] = []
    begun: set[str] = set()
    for number, (time, digest, form) in enumerate(forms):
        since = time
        if form.phase in seen and form.phase not in begun:
            following = forms[number + 1][0] if number + 1 < len(forms) else FOREVER
            first = seen[form.phase][0]
            since = first if first <= following else time
        begun.add(form.phase)
        dated.append((since, digest, form))
    return sorted(dated, key=lambda form: form[0])


def _amended(dated: Sequence[_Form], amended: Sequence[_Form]) -> list[_Form]:
    """With imports' later forms of a phase: of one that another followed, none comes into force again.

    Whether it is paused an import does not know.
    """
    found = list(dated)
    for time, digest, form in amended:
        in_force = [other for since, _, other in found if since <= time]
        if in_force and in_force[-1].phase == form.phase:
            found.append((time, digest, replace(form, mode=in_force[-1].mode)))
            found.sort(key=lambda dated: dated[0])
    return found


def _entries(forms: Sequence[_Form], seen: dict[str, tuple[int, int]]) -> tuple[Entry, ...]:
    changes = [form for number, form in enumerate(forms) if not number or form[2] != forms[number - 1][2]]
    last = {form.phase: number for number, (_, _, form) in enumerate(changes)}
    entries = []
    for number, (since, digest, form) in enumerate(changes):
        until = changes[number + 1][0] if number + 1 < len(changes) else FOREVER
        if last[form.phase] == number and form.phase in seen:
            until = max(until, seen[form.phase][1] + 1)
        entries.append(Entry(form.phase, digest, since, until, form))
    return tuple(entries)
