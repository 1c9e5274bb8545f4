"""Start and stop of a real collector process, and what it refuses to start with."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from collecting import SECRET, TOKEN, collector, spawn, trace_request
from meshtrial.store.layout import Layout

COMMAND = [sys.executable, "-m", "meshtrial", "collect"]
PORTS = "Port out of range 0-65535"
KEY_RULE = "it must have at least 16, for example from `openssl rand -hex 32`"
FREE = ["--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0"]


def failure(store: Path, **settings: object) -> str:
    """What a collector that does not start says."""
    with spawn(store, **settings) as process:
        _, error = process.communicate(timeout=20)
    assert process.returncode == 1
    return error.strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_in_order_on_a_signal_and_leaves_only_segments(
    tmp_path: Path, number: signal.Signals
) -> None:
    with collector(tmp_path) as running:
        running.send_spans(trace_request({}))
        running.process.send_signal(number)
        _, error = running.process.communicate(timeout=20)

    assert running.process.returncode == 0
    assert [json.loads(line)["event"] for line in error.splitlines()] == ["stopping", "rolled", "stopped"]
    assert (Layout(tmp_path).journals(), Layout(tmp_path).segments()) == ([], [1])


def test_a_second_collector_on_the_same_store_is_refused(tmp_path: Path) -> None:
    with collector(tmp_path) as running:
        expected = f"the store {tmp_path} is already written to by process {running.process.pid}"

        assert expected == failure(tmp_path)
        assert running.send_spans(trace_request({})) == 200


@pytest.mark.parametrize("door", ["otlp_grpc", "otlp_http"])
def test_a_port_in_use_is_one_clear_error(tmp_path: Path, door: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        assert f"cannot listen on {address}: address already in use" == failure(
            tmp_path, **{door: address}
        ).replace("Address", "address")


def test_two_collectors_cannot_share_a_grpc_port(tmp_path: Path) -> None:
    with collector(tmp_path / "one") as running:
        assert f"cannot listen on {running.grpc}" in failure(tmp_path / "two", otlp_grpc=running.grpc)


@pytest.mark.parametrize("door", ["otlp_grpc", "otlp_http"])
def test_beyond_loopback_it_demands_a_token_for_spans(tmp_path: Path, door: str) -> None:
    expected = (
        "0.0.0.0:0 can be reached from other machines, so it needs a token: "
        "give --otlp-token-file or MESHTRIAL_OTLP_TOKEN, or listen on 127.0.0.1"
    )

    assert expected == failure(tmp_path, **{door: "0.0.0.0:0"})


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"forward": "localhost:4318"},
            "the URL of an OTLP receiver is written http://127.0.0.1:4318, no user, no query",
        ),
        ({"forward": "http://x:99999"}, f"the URL of an OTLP receiver cannot be read: {PORTS}"),
        (
            {"secret": "short"},
            f"the pseudonym key has 5 bytes; {KEY_RULE}",
        ),
        ({"token": ""}, "the outcome door's token is empty"),
    ],
)
def test_a_setting_that_cannot_be_used_is_one_clear_error(
    tmp_path: Path, settings: dict[str, str], expected: str
) -> None:
    assert expected == failure(tmp_path, **settings)


def test_it_runs_without_the_libraries_of_the_other_parts() -> None:
    others = "{'duckdb', 'scipy', 'sklearn'}"
    code = f"import sys, meshtrial.collect.service; print(*{others}.intersection(sys.modules))"

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20
    )

    assert done.stdout == "\n"


def test_no_secret_is_in_its_logs(tmp_path: Path) -> None:
    with collector(tmp_path, otlp_token="otlp-token-for-tests") as running:
        running.process.terminate()
        _, error = running.process.communicate(timeout=20)

    for hidden in (SECRET.decode(), TOKEN, "otlp-token-for-tests"):
        assert hidden not in error


def test_the_command_takes_its_secrets_from_files_and_says_where_it_listens(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a-key-of-more-than-sixteen-bytes\n")
    (tmp_path / "token").write_text("token\n")
    arguments = ["--store", str(tmp_path / "store"), "--key-file", str(tmp_path / "key"), *FREE]

    with subprocess.Popen(
        [*COMMAND, *arguments, "--token-file", str(tmp_path / "token")], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        ready = json.loads(process.stderr.readline())
        process.terminate()

    assert ready["event"] == "ready"
    assert str(tmp_path / "store") == ready["store"]
    assert ready["otlp_http"].startswith("http://127.0.0.1:")
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("environment", "missing"),
    [
        ({"MESHTRIAL_TOKEN": "token"}, "MESHTRIAL_KEY"),
        ({"MESHTRIAL_KEY": "a-key-of-more-than-sixteen-bytes"}, "MESHTRIAL_TOKEN"),
    ],
)
def test_the_command_does_not_start_without_a_secret(
    tmp_path: Path, environment: dict[str, str], missing: str
) -> None:
    done = subprocess.run(
        [*COMMAND, "--store", str(tmp_path), *FREE],
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert done.returncode == 2
    assert missing in done.stderr
    assert len(done.stderr.splitlines()) == 1
