"""The benchmark's arithmetic, its baseline, and the page made from its results."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from meshtrial.assign.decide import decide
from meshtrial.cli.plan_file import read_plan
from meshtrial.doors.answers import Answers
from meshtrial.doors.ext_proc_pb2 import (
    HeaderMap,
    HeaderValue,
    HttpHeaders,
    ProcessingRequest,
    ProcessingResponse,
)
from meshtrial.doors.reading import read_request
from meshtrial.plan.load import load
from meshtrial.plan.needs import needs_of
from meshtrial.pseudonym import PseudonymKey

ROOT = Path(__file__).parents[2]
BENCH = ROOT / "bench"
SECRET = b"sixteen bytes ok"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCH))


def sample(variant: str, number: int = 1, **changes: Any) -> Any:
    from results import Sample

    cpu = {"envoy": 100.0} if variant == "bare" else {"envoy": 300.0, "sidecar": 500.0}
    values = {
        "variant": variant,
        "pace": "full",
        "round": number,
        "requests": 1000,
        "seconds": 2.0,
        "p50_us": 1500.0,
        "p99_us": 9000.0,
        "cpu_us": cpu,
        "broken": 0,
        "not_2xx": 0,
        "failed_open": 0,
        "late": 0,
        "treated": 0 if variant == "bare" else 500,
    }
    return Sample(**{**values, **changes})


def results(*samples: Any, **exposures: int) -> Any:
    from results import Results

    kept = {"accepted": 1000, "delivered": 1000, "overflowed": 0, "rejected": 0, **exposures}
    return Results({}, {}, samples, {"meshtrial": kept}, {"meshtrial": 1000}, {})


def test_the_published_tables_are_those_of_the_published_measurements() -> None:
    from report import BEGIN, END, markdown, tables
    from results import Results

    measured = msgspec.json.decode((BENCH / "results.json").read_bytes(), type=Results)
    page = (ROOT / "docs" / "performance.md").read_text()

    assert page.partition(BEGIN)[2].partition(END)[0] == f"\n{markdown(tables(measured))}\n"


def test_the_published_table_of_decisions_is_that_of_the_published_measurements_and_meets_the_target() -> (
    None
):
    from decide import BEGIN, END, TARGET, Cost, ratio, table
    from report import markdown

    costs = msgspec.json.decode((BENCH / "decide.json").read_bytes(), type=list[Cost])
    page = (ROOT / "docs" / "performance.md").read_text()

    assert page.partition(BEGIN)[2].partition(END)[0] == f"\n{markdown([table(costs)])}\n"
    assert ratio(costs, 100) <= TARGET


def test_of_the_plans_of_many_experiments_as_many_match_as_the_table_says() -> None:
    from decide import CASES, document, request

    for experiments, matching in CASES[:-1]:
        plan = load(document(experiments, matching), "plan.yaml")
        assert len(plan.experiments) == experiments
        assert {len(decide(request(number), plan)) for number in range(20)} == {matching}


def test_the_published_measurements_can_be_trusted() -> None:
    from results import Results
    from soundness import complaints

    assert complaints(msgspec.json.decode((BENCH / "results.json").read_bytes(), type=Results)) == []


def test_a_page_keeps_what_stands_around_the_tables(tmp_path: Path) -> None:
    from figures import Table
    from report import BEGIN, END, write_page

    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}old{END}after\n")

    for _ in range(2):
        write_page(page, [Table("Costs", ("", "us"), (("bare", "1"),))], (BEGIN, END))

    shown = "### Costs\n\n|  | us |\n| --- | ---: |\n| bare | 1 |\n"
    assert page.read_text() == f"before\n{BEGIN}\n{shown}\n{END}after\n"


def test_measurements_are_published_on_the_terminal_in_a_file_and_on_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from figures import Table
    from report import BEGIN, END, flags, publish

    page, measured = tmp_path / "page.md", tmp_path / "measured.json"
    page.write_text(BEGIN + END)
    wanted = flags("Costs.").parse_args(["--json", str(measured), "--page", str(page)])
    publish([Table("Costs", ("", "us"), (("bare", "1"),))], {"bare": [1]}, wanted, (BEGIN, END))

    assert "bare" in capsys.readouterr().out
    assert msgspec.json.decode(measured.read_bytes()) == {"bare": [1]}
    assert "| bare | 1 |\n" in page.read_text()


def test_an_absent_page_is_told_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from report import flags

    with pytest.raises(SystemExit):
        flags("Costs.").parse_args(["--page", str(tmp_path / "absent.md")])
    assert f"there is no page {tmp_path}/absent.md" in capsys.readouterr().err


def test_costs_are_the_median_of_the_rounds_with_the_lowest_and_the_highest() -> None:
    from figures import costs

    envoy = (310.0, 290.0, 400.0)
    samples = [sample("bare", n, cpu_us={"envoy": us}) for n, us in enumerate(envoy)]

    (row,) = costs(samples, "full", ["bare"]).rows

    assert row[:5] == ("bare", "310 (290..400)", "", "", "310 (290..400)")
    assert row[5:] == ("500 (500..500)", "1.50 (1.50..1.50)", "9.00 (9.00..9.00)")


def test_ratios_compare_within_a_round_and_leave_out_what_one_side_lacks() -> None:
    from figures import ratios

    samples = [
        sample("bare", 1, cpu_us={"envoy": 100.0}),
        sample("meshtrial", 1, cpu_us={"envoy": 300.0, "sidecar": 500.0}),
        sample("bare", 2, cpu_us={"envoy": 200.0}),
        sample("meshtrial", 2, cpu_us={"envoy": 500.0, "sidecar": 500.0}),
    ]

    (row,) = ratios(samples, "full", [("meshtrial", "bare")]).rows

    # 300/100 and 500/200; in all 800/100 and 1000/200: not the ratio of the medians, 400/150.
    assert row[:4] == ("meshtrial / bare", "2.75 (2.50..3.00)", "", "6.50 (5.00..8.00)")


def test_a_sound_run_is_not_complained_about() -> None:
    from soundness import complaints

    assert complaints(results(sample("bare"), sample("meshtrial"))) == []


@pytest.mark.parametrize(
    ("changes", "exposures", "complaint"),
    [
        ({"not_2xx": 2, "broken": 1}, {}, "3 requests failed"),
        ({"treated": 0}, {}, "meshtrial: 0.0% of the requests went to v2, and half should"),
        ({"late": 6, "failed_open": 7}, {}, "meshtrial: 1.3% of the requests were not decided"),
        ({}, {"delivered": 990}, "meshtrial: 1000 exposures, and 990 were taken by the collector"),
        ({}, {"rejected": 1}, "meshtrial: 1000 exposures, and 999 were taken by the collector"),
        ({}, {"accepted": 900, "delivered": 900}, "meshtrial: 1000 decisions, and 900 exposures"),
    ],
)
def test_a_run_that_did_something_else_is_complained_about(
    changes: dict[str, int], exposures: dict[str, int], complaint: str
) -> None:
    from soundness import complaints

    assert complaints(results(sample("meshtrial", **changes), **exposures)) == [complaint]


def test_the_baseline_gives_the_same_answers_as_the_sidecar() -> None:
    from baseline import Baseline

    plan, key = read_plan(BENCH / "plan.yaml"), PseudonymKey.of(SECRET)
    answers, baseline = Answers(plan), Baseline(plan, SECRET)
    arms = set()
    for number in range(200):
        user = f"user-{number}".encode()
        headers = [
            HeaderValue(key=":path", raw_value=b"/recommend?item=7"),
            HeaderValue(key="x-user-id", raw_value=user),
        ]
        message = ProcessingRequest(request_headers=HttpHeaders(headers=HeaderMap(headers=headers)))
        decision = decide(read_request(message, needs_of(plan))[0], plan)
        arms.add(decision[0].arm.id)

        ours = ProcessingResponse.FromString(
            answers.answer(decision, [key.pseudonym("header:x-user-id", user)], key.id)
        )

        assert baseline.answer(message) == ours
    assert arms == {"v1", "v2"}


def test_variants_differ_only_in_what_they_are_without(tmp_path: Path) -> None:
    from proxies import configuration

    plan = read_plan(BENCH / "plan.yaml")
    log, upstream, sidecar, collector = tmp_path / "log", "127.0.0.1:1001", "127.0.0.1:1002", "127.0.0.1:1003"
    whole = yaml.safe_load(configuration(plan, log, upstream, sidecar, collector))
    bare = yaml.safe_load(configuration(plan, log, upstream))

    def manager(document: dict[str, Any]) -> dict[str, Any]:
        chain: dict[str, Any] = document["static_resources"]["listeners"][0]["filter_chains"][0]
        config: dict[str, Any] = chain["filters"][0]["typed_config"]
        return config

    assert [f["name"] for f in manager(bare)["http_filters"]] == ["envoy.filters.http.router"]
    assert [c["name"] for c in bare["static_resources"]["clusters"]] == ["model-v1", "model-v2"]
    assert "tracing" in manager(whole)
    of_requests = manager(whole)["access_log"].pop()
    assert of_requests["typed_config"]["@type"].endswith("OpenTelemetryAccessLogConfig")
    for absent in ("http_filters", "tracing"):
        manager(bare).pop(absent, None)
        manager(whole).pop(absent)
    assert manager(bare) == manager(whole)


def test_cpu_time_grows_with_work_and_not_with_waiting() -> None:
    from cpu import cpu_seconds

    before = cpu_seconds(os.getpid()), time.process_time()
    while time.process_time() - before[1] < 0.3:
        pass
    time.sleep(0.3)
    spent = cpu_seconds(os.getpid()) - before[0]

    assert spent == pytest.approx(time.process_time() - before[1], abs=0.05)


def test_without_wrk_it_says_how_to_get_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, BENCH / "run.py", "--quick"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert done.stderr == "wrk, which makes the load, is not installed: apt-get install wrk\n"
