"""`meshtrial demo` as its user meets it; the report recomputed by code that shares nothing with ours."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from e2e.truth import Compared, first_exposures

MESHTRIAL = [sys.executable, "-m", "meshtrial"]


def children(parent: int) -> list[str]:
    """Command lines of all processes that came from one, as /proc tells."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            status = (entry / "stat").read_text()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, UnicodeDecodeError):
            continue
        if entry.name.isdecimal() and int(status.rpartition(")")[2].split()[1]) == parent:
            found += [command, *children(int(entry.name))]
    return found


def left_over(directory: Path) -> list[str]:
    """Running processes that name a directory."""
    return [
        line
        for line in subprocess.run(
            ["ps", "ax", "-o", "args"], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        if str(directory) in line
    ]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "out"
    done = subprocess.run(
        [*MESHTRIAL, "demo", "--out", out], capture_output=True, text=True, timeout=170, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SHIP V2" in done.stdout
    assert f"meshtrial explain {out}/plan.yaml digits-v2 user-0001" in done.stdout
    assert left_over(out) == []
    return out


@pytest.fixture(scope="module")
def report(demo: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((demo / "report.json").read_text())
    return document


@pytest.fixture(scope="module")
def users(demo: Path) -> dict[str, list[dict[str, Any]]]:
    """What the client sent and saw, by user, in order."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in (demo / "client.jsonl").read_text().splitlines():
        seen = json.loads(line)
        found.setdefault(seen["user"], []).append(seen)
    return found


def correct_of(seen: list[dict[str, Any]]) -> int:
    """Digits of one user that were read right."""
    return sum(one["prediction"] == one["truth"] for one in seen)


def compared(demo: Path, users: dict[str, list[dict[str, Any]]]) -> Compared:
    """The users by the days that the report compares within, each as long as the trial has to be: 15 s."""
    logged = (json.loads(line) for line in (demo / "access.jsonl").read_text().splitlines())
    unit = {line["request_id"]: line["unit"] for line in logged}
    first = first_exposures(demo / "store", "digits-v2")
    return Compared.of(
        [seen[0]["model"] == "v2" for seen in users.values()],
        [first[unit[seen[0]["request_id"]]] for seen in users.values()],
        15 * 10**9,
    )


def test_every_user_met_the_model_that_md5_says(users: dict[str, list[dict[str, Any]]]) -> None:
    assert len(users) == 1200
    for user, seen in users.items():
        bucket = int(hashlib.md5(f"digits-v2:{user}".encode()).hexdigest(), 16) % 10_000
        assert [one["model"] for one in seen] == ["v2" if bucket < 5000 else "v1"] * 3


def test_the_report_equals_a_recomputation_from_the_clients_own_log(
    demo: Path, report: dict[str, Any], users: dict[str, list[dict[str, Any]]]
) -> None:
    met = compared(demo, users)
    correct = np.array([correct_of(seen) for seen in users.values()], np.float64)
    sizes = {"v2": int(met.treated.sum()), "v1": int((~met.treated).sum())}

    assert {arm["arm"]: arm["units"] for arm in report["arms"]} == sizes
    found = {metric["metric"]: metric["comparisons"][0] for metric in report["metrics"]}
    solved = (correct == 3).astype(np.float64)
    assert found["solved"]["effect"] == pytest.approx(met.effect(solved))
    assert found["solved"]["p_value"] == pytest.approx(met.chi_squared(solved), rel=1e-9)
    p_value, low, high = met.welch(correct, 0.025)
    assert found["correct"]["p_value"] == pytest.approx(p_value, rel=1e-9)
    assert found["correct"]["interval"] == pytest.approx([low, high])
    assert found["latency_p90"]["within_margin"] is True
    ratio = next(check for check in report["health"] if check["check"] == "sample_ratio")
    assert (ratio["passed"], ratio["detail"]) == (True, "v2 611 (50% planned), v1 589 (50% planned)")
    assert report["verdict"]["decision"] == "ship"


def test_the_same_arms_and_outcomes_every_time(users: dict[str, list[dict[str, Any]]]) -> None:
    """Seeds are fixed: these figures are those of any run on the pinned versions."""
    met = Counter((seen[0]["model"], correct_of(seen) == 3) for seen in users.values())

    assert met == {("v2", True): 545, ("v2", False): 66, ("v1", True): 436, ("v1", False): 153}


def test_its_store_answers_the_commands_that_it_names(demo: Path, report: dict[str, Any]) -> None:
    command = [*MESHTRIAL, "report", "digits-v2", "--json"]
    command += ["--plan", str(demo / "plan.yaml"), "--store", str(demo / "store")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    again = json.loads(done.stdout)
    assert again["verdict"] == report["verdict"]


def test_a_directory_that_is_no_earlier_demo_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    done = subprocess.run(
        [*MESHTRIAL, "demo", "--out", tmp_path], capture_output=True, text=True, check=False
    )

    assert (done.returncode, (tmp_path / "thesis.txt").read_text()) == (2, "mine")
    assert done.stderr == f"{tmp_path} exists and is no earlier demo: choose another with --out\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_stops_everything_it_started(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "out"
    with subprocess.Popen(
        [*MESHTRIAL, "demo", "--out", out], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as demo:
        deadline = time.monotonic() + 60
        while not (out / "access.jsonl").exists() or (out / "access.jsonl").stat().st_size == 0:
            assert time.monotonic() < deadline
            assert demo.poll() is None
            time.sleep(0.1)
        assert any("envoy" in command for command in children(demo.pid))
        os.kill(demo.pid, number)
        said, _ = demo.communicate(timeout=30)

    assert demo.returncode not in {0, -number}
    assert b"Traceback" not in said
    assert left_over(out) == []
