"""Exposures from elsewhere, over the real door and by the command; and what it means to be imported."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collecting import BEARER, PROTOBUF, SECRET, TOKEN, RunningCollector, collector, trace_request
from meshtrial.plan.load import load
from meshtrial.pseudonym import PseudonymKey
from meshtrial.store.read import connect
from plan_values import ARMS, experiment, plan_text

DAY = 86_400
WHEN = int(time.time()) - 400 * DAY
KNOWN = "those that were known count once"
COHORTS = {"gold": [{"header": "x-plan", "in": ["gold"]}]}
WEIGHTS = {
    "v1": {**ARMS["v1"], "weight": {"default": 50, "gold": 0}},
    "v2": {**ARMS["v2"], "weight": {"default": 50, "gold": 100}},
}
PLAN = plan_text({"rank-v2": experiment(WEIGHTS, strata=["x-country"])}, cohorts=COHORTS)
FLAGS = [
    *("--experiment", "rank-v2", "--unit-column", "user", "--arm-column", "arm", "--time-column", "at"),
    *("--cohort-column", "tier", "--stratum", "x-country=country"),
]
HEAD = "user,arm,at,tier,country\n"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCollector]:
    with collector(tmp_path_factory.mktemp("store")) as one:
        yield one


def imported(
    running: RunningCollector, file: Path, *more: str, plan: str = PLAN, flags: Sequence[str] = FLAGS
) -> "subprocess.CompletedProcess[str]":
    path = file.with_name("plan.yaml")
    path.write_text(plan)
    command = [sys.executable, "-m", "meshtrial", "exposure", "import", str(file), "--plan", str(path)]
    return subprocess.run(
        [*command, *flags, "--collector", running.http, *more],
        env={**os.environ, "MESHTRIAL_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def rows(store: Path, columns: str, where: str) -> list[tuple[Any, ...]]:
    with connect(store) as connection:
        return connection.execute(f"SELECT {columns} FROM otel_traces WHERE {where}").fetchall()


def csv(folder: Path, unit: str) -> Path:
    (folder / "assigned.csv").write_text(f"{HEAD}{unit},v2,{WHEN},gold,IN\n")
    return folder / "assigned.csv"


def json_lines(folder: Path, unit: str) -> Path:
    row = {"user": unit, "arm": "v2", "at": WHEN * 1000, "tier": "gold", "country": "IN"}
    (folder / "assigned.jsonl").write_text(json.dumps(row))
    return folder / "assigned.jsonl"


def parquet(folder: Path, unit: str) -> Path:
    at = pa.array([WHEN * 10**6], pa.timestamp("us", "UTC"))
    columns = {"user": [unit], "arm": ["v2"], "at": at, "tier": ["gold"], "country": ["IN"]}
    pq.write_table(pa.table(columns), folder / "assigned.parquet")
    return folder / "assigned.parquet"


@pytest.mark.parametrize("write", [csv, json_lines, parquet], ids=lambda write: write.__name__)
def test_an_exposure_of_any_file_is_a_row_that_is_analysed_as_of_its_own_time(
    running: RunningCollector, tmp_path: Path, write: Any
) -> None:
    plan = load(PLAN, "plan.yaml")
    unit = f"ann-{write.__name__}"

    done = imported(running, write(tmp_path, unit))

    assert (done.returncode, done.stdout) == (0, f"1 rows: 1 acknowledged, 0 refused; {KNOWN}\n")
    pseudonym = PseudonymKey.of(SECRET).pseudonym("header:x-user-id", unit.encode())
    columns = (
        "SpanName, Experiment, Arm, Phase, Plan, Cohort, UnitKind, Exposed, Reason, "
        "SpanAttributes['meshtrial.strata.x-country'], epoch_ns(Timestamp), epoch_ns(ReceivedAt)"
    )
    assert rows(running.store, columns, f"Unit = {int(pseudonym[:16], 16)}") == [
        (
            *("meshtrial.exposure", "rank-v2", "v2", plan.experiments[0].phase, plan.digest, "gold"),
            *("header:x-user-id", True, "split", "IN", WHEN * 10**9, WHEN * 10**9),
        )
    ]
    stored = b"".join(path.read_bytes() for path in running.store.rglob("*.j*"))
    assert unit.encode() not in stored
    assert b"ann-" not in stored


def test_rows_that_are_no_exposures_are_named_the_rest_is_imported_and_a_second_import_adds_nothing(
    running: RunningCollector, tmp_path: Path
) -> None:
    file = tmp_path / "assigned.csv"
    late = int(time.time()) + 2 * DAY
    file.write_text(
        f"{HEAD}u1,v1,{WHEN},default,\nu2,v9,{WHEN},default,\nu3,v1,{late},gold,\nu1,v1,{WHEN},default,\n"
    )

    first, second = (imported(running, file, "--json") for _ in range(2))

    for done in (first, second):
        assert done.returncode == 2
        assert json.loads(done.stdout) == {"rows": 4, "acknowledged": 2, "refused": 2, "note": KNOWN}
        assert done.stderr.splitlines() == [
            f"{file}:3: `arm` must be an arm of `rank-v2` (v1, v2), not `v9`",
            f"{file}:4: time: 2{done.stderr.splitlines()[1].partition(': time: 2')[2]}",
        ]
        assert done.stderr.splitlines()[1].endswith("is more than a day after its receipt")
    assert rows(running.store, "count(*)", "Arm = 'v1' AND Experiment = 'rank-v2'") == [(1,)]
    assert "meshtrial_collect_exposures_refused_total 2.0" in running.metrics()


def test_the_door_takes_nothing_without_the_outcome_token(tmp_path: Path) -> None:
    exposure = {
        "unit": {"kind": "request", "value": "u"},
        "experiment": "rank-v2",
        "arm": "v2",
        "phase": "0" * 16,
        "plan": "0" * 64,
        "time": WHEN,
    }
    body = json.dumps(exposure).encode()
    with collector(tmp_path, otlp_token="otlp-token-for-tests") as running:
        for headers in (
            {},
            {"authorization": "Bearer wrong"},
            {"authorization": "Bearer otlp-token-for-tests"},
        ):
            status, _, answered = running.request("POST", "/v1/exposures", body, headers)
            assert (status, answered["www-authenticate"]) == (401, "Bearer")
        assert running.request("GET", "/v1/exposures")[0] == 405
        too_large = running.request("POST", "/v1/exposures", b" " * (4 * 2**20 + 1), BEARER)
        assert too_large[0] == 413
        assert running.request("POST", "/v1/exposures", b'{"arm": 1}', BEARER)[0] == 422
        status, answer, _ = running.request("POST", "/v1/exposures", body, BEARER)
        assert (status, json.loads(answer)) == (200, {"accepted": 1, "refused": []})


def test_nobody_else_can_say_that_something_was_imported(running: RunningCollector) -> None:
    said = {"meshtrial.imported": True, "meshtrial.exposed": True, "feature_flag.key": "claimed"}
    old = {"start_time_unix_nano": WHEN * 10**9, "attributes": said}
    request = trace_request({"name": "meshtrial.exposure", **old}, {"name": "else", **old})
    for headers in ({}, BEARER):
        body = request.SerializeToString()
        assert running.request("POST", "/v1/traces", body, {**PROTOBUF, **headers})[0] == 200

    found = rows(
        running.store,
        "SpanAttributes['meshtrial.imported'], Exposed AND SpanName = 'meshtrial.exposure', "
        "epoch_ns(ReceivedAt) > epoch_ns(Timestamp)",
        "Experiment = 'claimed' AND SpanName = 'meshtrial.exposure'",
    )
    assert found == [(None, None, True)]


def test_outcomes_of_a_file_count_as_received_when_they_happened_and_others_when_they_came(
    running: RunningCollector, tmp_path: Path
) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(f"order,user,at\nimported-1,ann,{WHEN}\nlive-1,ann,{WHEN - 1}\n")
    outcome = {
        "id": "live-1",
        "unit": {"kind": "request", "value": "ann"},
        "name": "purchase",
        "time": WHEN,
        "values": {"amount": 5},
    }
    assert running.send_outcomes(outcome)[0] == 200
    flags = ["--unit-column", "user", "--unit-kind", "request", "--name", "purchase", "--time-column", "at"]

    command = [
        sys.executable,
        "-m",
        "meshtrial",
        "outcome",
        "import",
        str(file),
        *flags,
        "--id-column",
        "order",
    ]
    done = subprocess.run(
        [*command, "--collector", running.http],
        env={**os.environ, "MESHTRIAL_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0
    found = rows(
        running.store,
        "OutcomeId, epoch_ns(Timestamp) // 1000000000, epoch_ns(ReceivedAt) = epoch_ns(Timestamp)",
        "Outcome = 'purchase' ORDER BY ALL",
    )
    # What came live first stays as it was: a file does not rewrite what is analysed.
    assert found == [("imported-1", WHEN, True), ("live-1", WHEN, False)]


RECORDED = "Plan, Phase, SpanAttributes['meshtrial.experiment.document']"
PLANS = "SpanName = 'meshtrial.experiment'"


def test_an_import_records_its_plan_once_and_only_with_an_exposure(tmp_path: Path) -> None:
    plan = load(PLAN, "plan.yaml")
    file = tmp_path / "assigned.csv"
    file.write_text(f"{HEAD}u1,v9,{WHEN},default,\n")
    with collector(tmp_path / "store") as running:
        refused = imported(running, file)
        assert not list((tmp_path / "store").rglob("*.parquet"))
        file.write_text(f"{HEAD}u1,v1,{WHEN},default,\nu2,v1,0,gold,\n")
        done = [imported(running, file, "--json") for _ in range(2)]

        found = rows(running.store, f"{RECORDED}, epoch_ns(Timestamp)", PLANS)
        exposures = rows(running.store, "count(*)", "SpanName = 'meshtrial.exposure'")

    assert (refused.returncode, exposures) == (2, [(1,)])
    for one in done:
        assert json.loads(one.stdout) == {"rows": 2, "acknowledged": 1, "refused": 1, "note": KNOWN}
        early = "`at` is before 2000: seconds, milliseconds or something else? It is `0`"
        assert one.stderr.splitlines() == [f"{file}:3: {early}"]
    [(digest, phase, document, at)] = found
    assert (digest, phase) == (plan.digest, plan.experiments[0].phase)
    assert load(document, "recorded").experiments == plan.experiments
    assert 0 <= time.time_ns() - at < 120 * 10**9


def test_a_plan_too_large_to_be_recorded_is_told_and_the_exposures_are_imported(
    running: RunningCollector, tmp_path: Path
) -> None:
    headers = {f"x-{number}": "x" * 1000 for number in range(16)}
    arms = {f"a{number}": {"weight": 20, "cluster": f"c{number}", "headers": headers} for number in range(5)}
    large = plan_text({"large": experiment(arms, control="a0")})
    file = tmp_path / "assigned.csv"
    file.write_text(f"{HEAD}u1,a1,{WHEN},,\n")
    flags = ["--experiment", "large", "--unit-column", "user", "--arm-column", "arm", "--time-column", "at"]

    done = imported(running, file, plan=large, flags=flags)

    assert (done.returncode, done.stdout) == (0, f"1 rows: 1 acknowledged, 0 refused; {KNOWN}\n")
    assert done.stderr.startswith("warning: the plan is not recorded with its exposures, so no report can ")
    assert done.stderr.endswith(" bytes, of 65,536 at most\n")
    assert rows(running.store, "Plan", f"{PLANS} AND Experiment = 'large'") == []


def test_strata_that_no_column_has_are_told_and_a_second_import_does_not_add_them(
    running: RunningCollector, tmp_path: Path
) -> None:
    file = csv(tmp_path, "stratified")
    without = [flag for flag in FLAGS if flag not in ("--stratum", "x-country=country")]

    first = imported(running, file, flags=without)
    second = imported(running, file)

    told = "no column for strata that `rank-v2` lists, which no import can add later"
    assert first.stderr == f"warning: {told}: --stratum x-country=COLUMN\n"
    assert (first.returncode, second.returncode, second.stderr) == (0, 0, "")
    unit = int(PseudonymKey.of(SECRET).pseudonym("header:x-user-id", b"stratified")[:16], 16)
    assert rows(running.store, "Strata", f"Unit = {unit}") == [(None,)]
