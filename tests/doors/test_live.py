"""`meshtrial serve` follows its plan's file: what changes it sees, and what it does with them."""

import json
import os
import queue
import signal
import sqlite3
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest

from e2e.trial import SECRETS, until
from meshtrial.demo.programs import Started, program
from meshtrial.doors.ext_proc_pb2 import (
    HeaderMap,
    HeaderValue,
    HttpHeaders,
    ProcessingRequest,
    ProcessingResponse,
)
from meshtrial.plan.load import load
from plan_texts import RANK

ALL_V2 = RANK.replace("weight: 50, cluster: model-v2", "weight: 100, cluster: model-v2").replace(
    "weight: 50, cluster: model-v1", "weight: 0, cluster: model-v1"
)
ALL_V1 = RANK.replace("weight: 50, cluster: model-v2", "weight: 0, cluster: model-v2").replace(
    "weight: 50, cluster: model-v1", "weight: 100, cluster: model-v1"
)
BAD = RANK.replace("weight: 50, cluster: model-v2", "weight: 60, cluster: model-v2").replace("alpha", "alfa")
PROCESS = "/envoy.service.ext_proc.v3.ExternalProcessor/Process"
SEVERAL_LOOKS = 0.3
"""Seconds in which a sidecar has looked at its file some twelve times."""


def digest(text: str) -> str:
    return load(text, "plan.yaml").digest


class Sidecar:
    """A `meshtrial serve` that runs."""

    def __init__(self, started: Started, channel: grpc.Channel) -> None:
        self.started = started
        self._process = channel.stream_stream(PROCESS)

    def stream(self) -> "Stream":
        return Stream(self._process)

    def cluster(self) -> str:
        """Where a request that begins now is sent."""
        with closing(self.stream()) as stream:
            return stream.cluster()

    def page(self, name: str) -> str:
        with urllib.request.urlopen(f"{self.started.where['admin']}/{name}", timeout=10) as answer:
            return str(answer.read().decode())

    def plan_health(self) -> tuple[str, dict[str, Any]]:
        """The whole's status, and the plan's component."""
        return self._health("plan")

    def follows(self, text: str) -> bool:
        """Whether this plan is in force."""
        return bool(self.plan_health()[1]["digest"] == digest(text))

    def sticky_health(self) -> tuple[str, dict[str, Any]]:
        """The whole's status, and that of sticky assignments."""
        return self._health("sticky")

    def _health(self, component: str) -> tuple[str, dict[str, Any]]:
        health = json.loads(self.page("healthz"))
        return health["status"], health["components"][component]

    def plan_metrics(self) -> dict[str, float]:
        """Every sample that is about the plan."""
        lines = [
            line.split() for line in self.page("metrics").splitlines() if line.startswith("meshtrial_plan")
        ]
        return {name: float(value) for name, value in lines}

    def told(self, event: str) -> list[dict[str, Any]]:
        """The log's lines of one event."""
        lines = self.started.process.program.log.read_text().splitlines()
        return [line for line in map(json.loads, lines) if line["event"] == event]

    def signal(self, number: signal.Signals) -> None:
        self.started.process.signal(number)


class Stream:
    """One ext_proc stream, message by message."""

    def __init__(self, process: Callable[..., Iterator[bytes]]) -> None:
        self._sent: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._answers = process(iter(self._sent.get, None), timeout=20)

    def ask(self, request: ProcessingRequest) -> ProcessingResponse:
        self._sent.put(request.SerializeToString())
        return ProcessingResponse.FromString(next(self._answers))

    def cluster(self) -> str:
        headers = [
            HeaderValue(key=":path", raw_value=b"/recommend"),
            HeaderValue(key="x-user-id", raw_value=b"u"),
        ]
        answer = self.ask(ProcessingRequest(request_headers=HttpHeaders(headers=HeaderMap(headers=headers))))
        options = answer.request_headers.response.header_mutation.set_headers
        return {o.header.key: o.header.raw_value.decode() for o in options}["x-meshtrial-cluster"]

    def close(self) -> None:
        self._sent.put(None)


class Taken(BaseHTTPRequestHandler):
    """Takes any spans, so that a sidecar need not wait for its collector when it stops."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def receiver() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Taken) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@contextmanager
def serve(plan: Path, directory: Path, *more: str) -> Iterator[Sidecar]:
    directory.mkdir(exist_ok=True)
    arguments = ["-m", "meshtrial", "serve", str(plan), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    arguments += ["--spool", str(directory / "spool")]
    with (
        receiver() as collector,
        program("serve", [*arguments, "--collector", collector, *more], directory, SECRETS) as started,
        grpc.insecure_channel(started.where["ext_proc"]) as channel,
    ):
        yield Sidecar(started, channel)


KEPT_IN_MEMORY = (
    "sticky arms last as long as this process, and several processes may disagree: "
    "--sticky FILE keeps them for all of this machine"
)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(ALL_V2)
    return path


@pytest.fixture
def sidecar(plan: Path, tmp_path: Path) -> Iterator[Sidecar]:
    with serve(plan, tmp_path) as running:
        yield running


def replace(path: Path, text: str) -> None:
    """Give a file another content in one step."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


def in_place(path: Path, text: str) -> None:
    path.write_text(text)


def with_an_old_time(path: Path, text: str) -> None:
    """As `cp -p` and `rsync -t` do."""
    replace(path, text)
    os.utime(path, (0, 0))


def by_a_link(path: Path, text: str) -> None:
    other = path.with_name("other.yaml")
    other.write_text(text)
    link = path.with_suffix(".link")
    link.symlink_to(other.name)
    link.rename(path)


@pytest.mark.parametrize("change", [replace, in_place, with_an_old_time, by_a_link])
def test_a_changed_file_is_in_force_shortly_after_and_shown(
    sidecar: Sidecar, plan: Path, change: Callable[[Path, str], None]
) -> None:
    started = sidecar.plan_health()[1]
    assert (sidecar.cluster(), started["digest"]) == ("model-v2", digest(ALL_V2))

    change(plan, ALL_V1)
    until(lambda: sidecar.cluster() == "model-v1", 5)

    assert sidecar.plan_metrics() == {
        f'meshtrial_plan_info{{digest="{digest(ALL_V1)}"}}': 1,
        "meshtrial_plan_refused": 0,
        'meshtrial_plan_reloads_total{result="taken"}': 1,
        'meshtrial_plan_reloads_total{result="refused"}': 0,
        'meshtrial_plan_reloads_total{result="unchanged"}': 0,
    }
    status, health = sidecar.plan_health()
    assert (status, health["status"], health["digest"], health["error"]) == ("ok", "ok", digest(ALL_V1), None)
    loaded = datetime.fromisoformat(health["loaded_at"])
    assert datetime.fromisoformat(started["loaded_at"]) < loaded <= datetime.now(UTC)
    assert loaded > datetime.now(UTC) - timedelta(seconds=20)
    [line] = sidecar.told("plan taken")
    assert (line["plan"], line["before"]) == (digest(ALL_V1), digest(ALL_V2))


def test_a_config_map_that_kubernetes_swaps_is_seen(tmp_path: Path) -> None:
    volume = tmp_path / "volume"

    def project(version: str, text: str) -> None:
        """What the kubelet does: a directory of its own for each version, and one link swapped."""
        (volume / version).mkdir(parents=True)
        (volume / version / "plan.yaml").write_text(text)
        (volume / "..data_tmp").symlink_to(version)
        (volume / "..data_tmp").rename(volume / "..data")

    project("..2026_03_01", ALL_V2)
    (volume / "plan.yaml").symlink_to("..data/plan.yaml")
    with serve(volume / "plan.yaml", tmp_path) as sidecar:
        assert sidecar.cluster() == "model-v2"

        project("..2026_03_02", ALL_V1)
        (volume / "..2026_03_01" / "plan.yaml").unlink()
        until(lambda: sidecar.cluster() == "model-v1", 5)


def test_a_bad_plan_is_told_once_with_all_its_problems_and_the_last_good_one_stays(
    sidecar: Sidecar, plan: Path
) -> None:
    replace(plan, BAD)
    until(lambda: sidecar.plan_health()[1]["status"] == "refused", 5)
    time.sleep(SEVERAL_LOOKS)

    assert sidecar.cluster() == "model-v2"
    status, health = sidecar.plan_health()
    first = f"{plan}:12: $.experiments.rank-v2.arms: the arms' weights must sum to 100, not 110 [weights-sum]"
    assert (status, health["digest"], health["error"]) == ("degraded", digest(ALL_V2), first)
    metrics = sidecar.plan_metrics()
    assert metrics["meshtrial_plan_refused"] == 1
    assert metrics['meshtrial_plan_reloads_total{result="refused"}'] == 1
    assert metrics[f'meshtrial_plan_info{{digest="{digest(ALL_V2)}"}}'] == 1
    [line] = sidecar.told("plan refused")
    assert line["level"] == "error"
    assert line["in_force"] == digest(ALL_V2)
    assert line["problems"][0] == first
    assert [problem.rpartition("[")[2] for problem in line["problems"]] == [
        "weights-sum]", "key-missing]", "key-unknown]",
    ]  # fmt: skip

    replace(plan, ALL_V2)
    until(lambda: sidecar.plan_health()[1]["status"] == "ok", 5)

    assert sidecar.plan_health()[0] == "ok"
    assert sidecar.plan_metrics()["meshtrial_plan_refused"] == 0
    assert sidecar.plan_metrics()['meshtrial_plan_reloads_total{result="unchanged"}'] == 1


def test_a_file_that_goes_away_and_comes_back_loses_nothing(sidecar: Sidecar, plan: Path) -> None:
    plan.unlink()
    until(lambda: sidecar.plan_health()[1]["status"] == "refused", 5)

    assert sidecar.cluster() == "model-v2"
    said = f"the plan {plan} cannot be read: No such file or directory"
    assert sidecar.plan_health()[1]["error"] == said
    assert [line["problems"] for line in sidecar.told("plan refused")] == [[said]]

    plan.write_text(ALL_V1)
    until(lambda: sidecar.cluster() == "model-v1", 5)
    assert sidecar.plan_health()[0] == "ok"


def test_a_hangup_reads_the_file_again_and_never_ends_the_process(sidecar: Sidecar, plan: Path) -> None:
    sidecar.signal(signal.SIGHUP)
    until(lambda: sidecar.told("plan unchanged") != [], 5)
    assert sidecar.plan_metrics()['meshtrial_plan_reloads_total{result="unchanged"}'] == 1

    replace(plan, BAD)
    until(lambda: len(sidecar.told("plan refused")) == 1, 5)
    sidecar.signal(signal.SIGHUP)
    until(lambda: len(sidecar.told("plan refused")) == 2, 5)
    assert sidecar.cluster() == "model-v2"


def test_an_open_stream_keeps_the_plan_that_it_began_with(sidecar: Sidecar, plan: Path) -> None:
    with closing(sidecar.stream()) as open_one:
        open_one.ask(ProcessingRequest(response_headers=HttpHeaders()))  # it has begun

        replace(plan, ALL_V1)
        until(lambda: sidecar.cluster() == "model-v1", 5)

        assert open_one.cluster() == "model-v2"


def test_two_processes_follow_one_file(plan: Path, tmp_path: Path) -> None:
    with serve(plan, tmp_path / "one") as one, serve(plan, tmp_path / "two") as two:
        for text, cluster in ((ALL_V1, "model-v1"), (ALL_V2, "model-v2"), (ALL_V1, "model-v1")):
            replace(plan, text)
            until(lambda cluster=cluster: one.cluster() == two.cluster() == cluster, 5)  # type: ignore[misc]
        for each in (one, two):
            assert each.plan_health()[1]["digest"] == digest(ALL_V1)
            assert each.plan_metrics()['meshtrial_plan_reloads_total{result="taken"}'] == 3


def test_a_plan_from_a_pipe_is_read_once_and_a_reading_that_hangs_stops_nothing(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(ALL_V2,))
    writer.start()
    with serve(pipe, tmp_path) as sidecar:
        writer.join()
        time.sleep(SEVERAL_LOOKS)
        assert sidecar.plan_health()[0] == "ok"

        sidecar.signal(signal.SIGHUP)  # nobody writes: opening it waits for ever
        time.sleep(SEVERAL_LOOKS)

        assert sidecar.cluster() == "model-v2"
        sidecar.signal(signal.SIGTERM)
        assert sidecar.started.process.child.wait(10) == 0


def test_each_plan_whose_sticky_arms_end_with_the_process_is_warned_of(plan: Path, tmp_path: Path) -> None:
    plan.write_text(sticky(ALL_V2))
    with serve(plan, tmp_path) as sidecar:
        for text in (sticky(ALL_V1), ALL_V2, sticky(ALL_V2)):
            replace(plan, text)
            until(partial(sidecar.follows, text))
        until(lambda: len(sidecar.told(KEPT_IN_MEMORY)) == 3)
        assert all(line["experiments"] == ["rank-v2"] for line in sidecar.told(KEPT_IN_MEMORY))


def test_with_a_file_of_sticky_arms_there_is_no_warning_and_its_trouble_is_shown(
    plan: Path, tmp_path: Path
) -> None:
    plan.write_text(sticky(ALL_V2))
    file = tmp_path / "sticky"
    with serve(plan, tmp_path, "--sticky", str(file)) as sidecar:
        assert sidecar.told(KEPT_IN_MEMORY) == []
        assert sidecar.sticky_health() == ("ok", {"status": "ok", "reason": None})
        assert "\nmeshtrial_sticky_failures_total 0.0\n" in sidecar.page("metrics")
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            assert sidecar.cluster() == "model-v2"

        locked = {"status": "degraded", "reason": "database is locked"}
        assert sidecar.sticky_health() == ("degraded", locked)
        assert "\nmeshtrial_sticky_failures_total 1.0\n" in sidecar.page("metrics")


def sticky(text: str) -> str:
    return text.replace("    control: v1\n", "    control: v1\n    sticky: true\n")
