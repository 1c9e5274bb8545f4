"""What was in force when, from what sidecars recorded."""

from dataclasses import replace
from typing import Any

from meshtrial.analysis import units
from meshtrial.analysis.cells import HOUR
from meshtrial.analysis.history import (
    FOREVER,
    Entry,
    History,
    Unknown,
    documents_query,
    history_of,
)
from meshtrial.analysis.tallies import read_tallies
from meshtrial.plan.excerpt import excerpt
from meshtrial.plan.model import Experiment, Mode, Plan
from meshtrial.store.engine import DuckDB
from plan_values import experiment, plan_of
from trial_rows import Trial, nanoseconds


def plan(**keys: Any) -> Plan:
    return plan_of({"rank-v2": experiment(**keys)})


LOW, HIGH = plan(ramp="10%"), plan(ramp="50%")
PAUSED = plan(ramp="10%", paused=True)


def document(found: Plan) -> str:
    return excerpt(found, form(found)).canonical


def form(found: Plan) -> Experiment:
    return found.experiments[0]


def phase(found: Plan) -> str:
    return form(found).phase


def told(
    *taken: tuple[int, Plan],
    imported: tuple[tuple[int, Plan], ...] = (),
    phases: tuple[tuple[str, int, int], ...] = (),
    present: Plan = HIGH,
) -> History:
    rows = [(time, found.digest, document(found), 0) for time, found in taken]
    rows += [(time, found.digest, document(found), 1) for time, found in imported]
    return history_of(rows, phases, present.digest, form(present))


def stretches(history: History) -> list[tuple[str, int, int]]:
    return [(entry.plan, entry.since, entry.until) for entry in history.entries]


def test_a_phase_is_in_force_from_its_first_exposure_until_that_of_the_next() -> None:
    seen = ((phase(LOW), 7, 19), (phase(HIGH), 20, 99))

    history = told((5, LOW), (18, HIGH), phases=seen)

    assert history == History(
        (
            Entry(phase(LOW), LOW.digest, 7, 20, form(LOW)),
            Entry(phase(HIGH), HIGH.digest, 20, FOREVER, form(HIGH)),
        ),
        (),
        0,
    )


def test_a_restart_is_no_change_nor_is_what_changed_in_other_experiments_alone() -> None:
    beside = plan_of({"rank-v2": experiment(ramp="10%", match={"path_prefix": "/a/"})})
    more = plan_of(
        {
            "rank-v2": experiment(ramp="10%", match={"path_prefix": "/a/"}),
            "other": experiment(match={"path_prefix": "/b/"}),
        }
    )
    found = more.experiment("rank-v2")
    assert found is not None
    rows = [
        (1, beside.digest, document(beside), 0),
        (3, beside.digest, document(beside), 0),
        (5, more.digest, excerpt(more, found).canonical, 0),
    ]

    history = history_of(rows, [], more.digest, found)

    assert stretches(history) == [(beside.digest, 1, FOREVER)]


def test_a_rule_that_was_amended_is_an_entry_of_its_own_from_when_it_came() -> None:
    amended = plan(ramp="10%", decision={**experiment()["decision"], "alpha": 0.1})  # type: ignore[dict-item]
    seen = ((phase(LOW), 2, 50),)

    history = told((1, LOW), (9, amended), phases=seen, present=amended)

    assert stretches(history) == [(LOW.digest, 2, 9), (amended.digest, 9, FOREVER)]
    assert [entry.experiment.decision.alpha for entry in history.entries] == [0.05, 0.1]
    assert {entry.phase for entry in history.entries} == {phase(LOW)}


def test_a_pause_and_its_end_are_entries_of_one_phase() -> None:
    history = told((1, LOW), (5, PAUSED), (8, LOW), phases=((phase(LOW), 2, 50),), present=LOW)

    assert stretches(history) == [(LOW.digest, 2, 5), (PAUSED.digest, 5, 8), (LOW.digest, 8, FOREVER)]
    assert [entry.experiment.mode for entry in history.entries] == [Mode.RUNNING, Mode.PAUSED, Mode.RUNNING]


def test_a_phase_that_was_gone_back_to_has_two_entries() -> None:
    seen = ((phase(LOW), 1, 40), (phase(HIGH), 12, 19))

    history = told((1, LOW), (10, HIGH), (20, LOW), phases=seen, present=LOW)

    assert stretches(history) == [(LOW.digest, 1, 12), (HIGH.digest, 12, 20), (LOW.digest, 20, FOREVER)]


def test_a_sidecar_that_stayed_behind_keeps_its_phase_in_force() -> None:
    seen = ((phase(LOW), 1, 30), (phase(HIGH), 10, 99))

    history = told((1, LOW), (10, HIGH), phases=seen)

    assert stretches(history) == [(LOW.digest, 1, 31), (HIGH.digest, 10, FOREVER)]


def test_a_form_in_which_nobody_was_exposed_is_dated_by_its_document() -> None:
    seen = ((phase(LOW), 30, 40),)

    history = told((1, PAUSED), (20, LOW), phases=seen, present=LOW)

    assert stretches(history) == [(PAUSED.digest, 1, 20), (LOW.digest, 20, FOREVER)]


def test_the_present_phase_needs_no_document_and_was_running_where_it_has_exposures() -> None:
    killed = plan(ramp="10%", killed=True)

    history = told(phases=((phase(killed), 4, 9),), present=killed)

    assert history.entries == (
        Entry(phase(killed), killed.digest, 4, FOREVER, replace(form(killed), mode=Mode.RUNNING)),
    )


def amended(alpha: float, **keys: Any) -> Plan:
    return plan(**keys, decision={**experiment()["decision"], "alpha": alpha})  # type: ignore[dict-item]


RAMP = ((phase(LOW), 7, 19), (phase(HIGH), 20, 99))


def test_the_phases_of_imports_are_from_their_first_exposures_in_whatever_order_they_came() -> None:
    in_order = told(imported=((1000, LOW), (2000, HIGH)), phases=RAMP)
    backwards = told(imported=((1000, HIGH), (2000, LOW)), phases=RAMP)

    assert in_order == backwards
    assert stretches(in_order) == [(LOW.digest, 7, 20), (HIGH.digest, 20, FOREVER)]
    assert in_order.unknown == ()


def test_a_rule_that_an_import_amended_came_with_that_import() -> None:
    other = amended(0.1, ramp="50%")

    history = told(imported=((1000, LOW), (2000, HIGH), (3000, other)), phases=RAMP, present=other)

    assert stretches(history) == [(LOW.digest, 7, 20), (HIGH.digest, 20, 3000), (other.digest, 3000, FOREVER)]


def test_no_import_brings_back_a_phase_that_another_followed_nor_a_form_that_is_known() -> None:
    live = ((5, LOW), (18, HIGH))

    history = told(*live, imported=((3000, LOW), (4000, amended(0.1, ramp="10%"))), phases=RAMP)

    assert history == told(*live, phases=RAMP)


def test_an_import_of_what_came_before_an_amendment_is_no_second_amendment() -> None:
    live = ((18, HIGH), (50, amended(0.1, ramp="50%")))

    history = told(*live, imported=((3000, HIGH),), phases=RAMP[1:])

    assert history == told(*live, phases=RAMP[1:])


def test_an_import_does_not_start_what_is_paused() -> None:
    killed = plan(ramp="50%", killed=True)

    history = told((18, HIGH), (50, killed), imported=((60, amended(0.1, ramp="50%")),), phases=RAMP[1:])

    assert [entry.experiment.mode for entry in history.entries] == [
        Mode.RUNNING,
        form(killed).mode,
        form(killed).mode,
    ]


def test_documents_that_cannot_be_read_are_counted_and_their_phases_unknown() -> None:
    newer = document(LOW).replace("meshtrial/v1", "meshtrial/v9")
    rows = [
        (1, "a", newer, 0),
        (2, "a", newer, 1),
        (3, "b", "no plan", 0),
        (9, HIGH.digest, document(HIGH), 0),
    ]
    other = document(plan_of({"other": experiment()}))

    history = history_of(
        [*rows, (4, "c", other, 0)],
        [(phase(LOW), 1, 9), (phase(HIGH), 10, 99)],
        HIGH.digest,
        form(HIGH),
    )

    assert history.unread == 3
    assert history.unknown == (Unknown(phase(LOW), 1, 10),)
    assert stretches(history) == [(HIGH.digest, 10, FOREVER)]


def test_documents_and_the_phases_times_are_found() -> None:
    trial = Trial(phase(HIGH), HIGH.digest)
    for second, found in ((0, LOW), (100, HIGH)):
        trial.took(found.digest, document(found), second)
    trial.took(LOW.digest, document(LOW), 200, imported=True)
    trial.took("x", "another's", 5, experiment="other")
    trial.expose(1, "v1", 10, phase=phase(LOW), Reason="split")
    trial.expose(1, "v1", 90, phase=phase(LOW), exposed=False, Reason="disabled")
    trial.expose(1, "v1", 500, phase=phase(LOW), Reason="cached")
    trial.expose(1, "v1", 1, phase=phase(LOW), Reason="split", Exposed=None)
    trial.expose(2, "v1", 120, phase=phase(HIGH), Reason="split")
    trial.expose(2, "v1", 0, phase=phase(HIGH), Reason="split", Experiment="other")
    engine = DuckDB(trial.connection())

    documents = [tuple(row) for row in engine.rows(documents_query("rank-v2"))]
    phases = sorted(read_tallies(engine, units.Trial(HIGH.experiments[0], HOUR), nanoseconds(600)).phases())

    assert documents == [
        (nanoseconds(0), LOW.digest, document(LOW), 0),
        (nanoseconds(100), HIGH.digest, document(HIGH), 0),
        (nanoseconds(200), LOW.digest, document(LOW), 1),
    ]
    assert phases == sorted(
        [
            (phase(LOW), nanoseconds(10), nanoseconds(90)),
            (phase(HIGH), nanoseconds(120), nanoseconds(120)),
        ]
    )
