"""The failure contract: the sidecar may die or hang, and no request and no record suffers for it."""

import signal
import time
from collections import Counter

from e2e.load import Load
from e2e.test_split import arm_of, pseudonym
from e2e.trial import Trial, trial, until
from plan_texts import RANK
from proof import often

KILLS = often(20, 200)
HANGS = often(5, 25)


def served(running: Trial, requests: int) -> Counter[tuple[str, str, str]]:
    """(trace, unit, arm) of each request that Envoy sent by a decision; the log is the authority."""
    lines = running.access_log(requests)
    for line in lines:
        decided = line["arms"] is not None
        assert decided == (line["failed_open"] == "0" and line["unit"] is not None), line
        assert line["cluster"] == (
            "model-v1" if not decided else f"model-{line['arms'].removeprefix('rank-v2=')}"
        )
    return Counter((n["trace_id"], n["unit"], n["arms"].removeprefix("rank-v2=")) for n in lines if n["arms"])


def recorded(running: Trial, at_least: int) -> Counter[tuple[str, str, str]]:
    return Counter((e["trace_id"], e["unit"], e["arm"]) for e in running.exposures(at_least) if e["exposed"])


def check_answers(load: Load) -> None:
    """No request failed, and each went to its own arm or to control."""
    assert {each.status for each in load.asked} == {200}
    for each in load.asked:
        assert each.model in {f"model-{arm_of(each.user)}", "model-v1"}


def test_kill_and_restart_under_load_fails_no_request_and_loses_no_record() -> None:
    with trial(RANK) as running:
        with Load(running.proxy) as load:
            for _ in range(KILLS):
                time.sleep(0.3)
                running.kill_sidecar()
                load.wait_for(50)
                running.start_sidecar()
                until(running.healthy)
            time.sleep(0.3)
        check_answers(load)
        by_log = served(running, len(load.asked))
        by_spans = recorded(running, sum(by_log.values()))

        failed_open = len(load.asked) - sum(by_log.values())
        assert failed_open > KILLS * 30
        assert running.envoy.stats("http.ingress.ext_proc.")["http.ingress.ext_proc.failure_mode_allowed"] > 0
        # Nothing that was served by a decision is missing.
        assert by_log - by_spans == Counter()
        # A request whose answer was on its way when the process died is recorded and failed open; no
        # process can know that of itself. One for each connection and kill at the most.
        assert sum((by_spans - by_log).values()) <= KILLS * load.clients
        units = {pseudonym(f"user-{n}"): arm_of(f"user-{n}") for n in range(load.users)}
        assert all(units[unit] == arm for _, unit, arm in by_spans)


def test_a_hung_sidecar_fails_no_request_and_records_nothing_that_was_not_served() -> None:
    with trial(RANK) as running:
        with Load(running.proxy) as load:
            for _ in range(HANGS):
                time.sleep(1)
                running.sidecar.process.signal(signal.SIGSTOP)
                time.sleep(4)
                running.sidecar.process.signal(signal.SIGCONT)
                until(running.healthy)
            time.sleep(1)
        check_answers(load)
        by_log = served(running, len(load.asked))
        by_spans = recorded(running, sum(by_log.values()))

        # What waited when it wakes is no exposure: Envoy has reset most of it before it is read, and the rest
        # is late (doors/test_session.py). Only a request that was stopped between its record and its answer
        # cannot be told apart: one for each connection and hang at the most.
        assert by_log - by_spans == Counter()
        assert sum((by_spans - by_log).values()) <= HANGS * load.clients
        # Beyond the moments until the health check sees it, a hung sidecar costs no waiting.
        assert len(load.asked) > 5 * 300
