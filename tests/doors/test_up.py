"""`meshtrial up`: sidecar and collector as one command, from its first start to an orderly or sudden end."""

import contextlib
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import pytest

from ext_proc_door import headers_set, message
from meshtrial.doors.ext_proc_pb2 import ProcessingResponse
from meshtrial.names import EXT_PROC_SERVICE
from meshtrial.store.read import connect
from plan_texts import RANK

ANYWHERE = [f"--{name}=127.0.0.1:0" for name in ("listen", "admin", "otlp-grpc", "otlp-http")]


class Up:
    """The command, running; its log is read as it goes."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.log: list[dict[str, str]] = []

    def until(self, event: str, component: str) -> dict[str, str]:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            said = json.loads(line)
            self.log.append(said)
            if (said["event"], said["component"]) == (event, component):
                return dict(said)
        raise AssertionError(self.log)

    def end(self, within: float = 15) -> int:
        """Its exit status; the rest of its log is read."""
        assert self.process.stderr is not None
        self.log += [json.loads(line) for line in self.process.stderr]
        return self.process.wait(within)


def command(directory: Path, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
    (directory / "plan.yaml").write_text(RANK)
    ours = {k: v for k, v in os.environ.items() if not k.startswith("MESHTRIAL_")}
    return subprocess.Popen(
        [sys.executable, "-m", "meshtrial", "up", "plan.yaml", *ANYWHERE, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        cwd=directory,
        env={**ours, **variables},
    )


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Up]]:
    """Starts the command in one directory, and waits until it is ready."""
    with contextlib.ExitStack() as stack:

        def started() -> Up:
            process = stack.enter_context(command(tmp_path))
            stack.callback(process.kill)
            up = Up(process)
            up.until("ready", "up")
            return up

        yield started


def children(of: int) -> dict[str, int]:
    """The processes that one started, by the meshtrial command that they run."""
    found: dict[str, int] = {}
    for pid in Path(f"/proc/{of}/task/{of}/children").read_text().split():
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        found[words[words.index(b"meshtrial") + 1].decode()] = int(pid)
    return found


def alive(pids: list[int], within: float = 15) -> list[str]:
    """What still runs of some processes once all have ended, or the time is over."""
    deadline = time.monotonic() + within
    while (found := [state for pid in pids if (state := running(pid))]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def running(pid: int) -> str:
    """What the system says of a process; "" of one that is gone, or has ended and was not asked after."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if state.rpartition(") ")[2].startswith("Z") else state


def arm_of(address: str, user: str) -> str:
    """The arm that the sidecar gives a user, over gRPC."""
    sent = message("/recommend", ("x-user-id", user.encode()))
    with grpc.insecure_channel(address) as channel:
        process = channel.stream_stream(
            f"/{EXT_PROC_SERVICE}/Process",
            request_serializer=lambda m: m if isinstance(m, bytes) else m.SerializeToString(),
            response_deserializer=ProcessingResponse.FromString,
        )
        [answer] = process(iter([sent]), timeout=10)
    return headers_set(answer)["x-meshtrial-arms"]


def test_a_request_is_assigned_recorded_and_reported_and_one_signal_ends_all(
    start: Callable[[], Up], tmp_path: Path
) -> None:
    up = start()
    ready = up.log[-1]
    data = tmp_path / "meshtrial-data"
    users = [f"u{number}" for number in range(10)]
    for user in users:
        below = int(hashlib.md5(f"rank-v2:{user}".encode()).hexdigest(), 16) % 100 < 50
        assert arm_of(ready["ext_proc"], user) == f"rank-v2={'v2' if below else 'v1'}"
    token = (data / "token").read_text().strip()
    outcome = {
        "id": "o1",
        "unit": {"kind": "header:x-user-id", "value": "u0"},
        "name": "purchase",
        "time": time.time(),
        "values": {"amount": 1.5},
    }
    with contextlib.closing(http.client.HTTPConnection(urlsplit(ready["otlp_http"]).netloc)) as to:
        to.request("POST", "/v1/outcomes", json.dumps([outcome]), {"authorization": f"Bearer {token}"})
        assert json.loads(to.getresponse().read())["accepted"] == 1

    parts = list(children(up.process.pid).values())
    began = time.monotonic()
    up.process.send_signal(signal.SIGTERM)
    assert up.end() == 0
    assert time.monotonic() - began < 10
    assert alive(parts, 0) == []

    said = [(line["component"], line["event"]) for line in up.log if line["event"] != "rolled"]
    assert said == [
        *([("up", "secret made")] * 2),
        *(("collector", "ready"), ("sidecar", "ready"), ("up", "ready")),
        *(
            ("sidecar", "stopping"),
            ("sidecar", "stopped"),
            ("collector", "stopping"),
            ("collector", "stopped"),
        ),
        ("up", "stopped"),
    ]
    with connect(data / "store") as database:
        counts = (
            "SELECT SpanName, count(*), count(DISTINCT SpanId) FROM otel_traces GROUP BY ALL ORDER BY ALL"
        )
        stored = database.execute(counts).fetchall()
    plan, exposed, happened = "meshtrial.experiment", "meshtrial.exposure", "meshtrial.outcome"
    assert stored == [(plan, 1, 1), (exposed, 10, 10), (happened, 1, 1)]
    arguments = ["report", "rank-v2", "--store", str(data / "store"), "--json"]
    report = [sys.executable, "-m", "meshtrial", *arguments]
    done = subprocess.run(report, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout)["experiment"] == "rank-v2"


def test_secrets_are_made_once_and_readable_by_their_owner_alone(
    start: Callable[[], Up], tmp_path: Path
) -> None:
    secrets: list[tuple[str, int]] = []
    for _ in range(2):
        up = start()
        for name in ("key", "token"):
            file = tmp_path / "meshtrial-data" / name
            secrets.append((file.read_text(), file.stat().st_mode & 0o777))
        up.process.send_signal(signal.SIGINT)
        assert up.end() == 0

    assert secrets[:2] == secrets[2:]
    assert {mode for _, mode in secrets} == {0o600}
    assert all(re.fullmatch("[0-9a-f]{64}\n", text) for text, _ in secrets)
    assert len({text for text, _ in secrets}) == 2
    assert "secret made" not in [line["event"] for line in up.log]


def test_a_hangup_has_the_plan_read_again_and_ends_nothing(start: Callable[[], Up]) -> None:
    up = start()
    up.process.send_signal(signal.SIGHUP)
    up.until("plan unchanged", "sidecar")
    up.process.send_signal(signal.SIGTERM)

    assert up.end() == 0


@pytest.mark.parametrize("part", ["serve", "collect"])
def test_the_end_of_one_part_ends_the_other_and_is_said(start: Callable[[], Up], part: str) -> None:
    up = start()
    pids = children(up.process.pid)
    os.kill(pids[part], signal.SIGKILL)

    assert up.end() == 128 + signal.SIGKILL
    [ended] = [line for line in up.log if line["event"] == "ended"]
    name = {"serve": "sidecar", "collect": "collector"}[part]
    assert (ended["component"], ended["status"], ended["level"]) == (name, 137, "error")
    assert alive(list(pids.values()), 0) == []


def test_no_part_outlives_a_command_that_was_killed_outright(start: Callable[[], Up]) -> None:
    up = start()
    pids = list(children(up.process.pid).values())
    assert len(pids) == 2
    up.process.kill()
    up.process.wait()

    assert alive(pids) == []


def refusal(directory: Path, *arguments: str, **variables: str) -> str:
    with command(directory, *arguments, **variables) as process:
        _, said = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "Traceback" not in said
    return "".join(line for line in said.splitlines(keepends=True) if not line.startswith("{"))


def test_what_cannot_be_used_is_one_clear_message(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        used = f"127.0.0.1:{taken.getsockname()[1]}"
        for flag, component in (("--otlp-http", "collector"), ("--admin", "sidecar")):
            said = refusal(tmp_path, flag, used)
            assert said == f"the {component} did not start: cannot listen on {used}: Address already in use\n"
    assert refusal(tmp_path, "--data", "plan.yaml") == "the directory plan.yaml cannot be made: File exists\n"
    short = refusal(tmp_path, MESHTRIAL_KEY="short")
    assert short.startswith("the collector did not start: the pseudonym key has 5 bytes; ")


def test_a_plan_with_errors_is_the_loaders_own_message_and_nothing_is_made(tmp_path: Path) -> None:
    with command(tmp_path) as process:
        (tmp_path / "plan.yaml").write_text(RANK.replace("alpha: 0.05", "alpha: 5"))
        _, said = process.communicate(timeout=30)

    assert process.returncode == 2
    assert said.startswith("plan.yaml:17: $.experiments.rank-v2.decision.alpha: must be above 0")
    assert not (tmp_path / "meshtrial-data").exists()
