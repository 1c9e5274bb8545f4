"""`meshtrial serve` from the command line: starting, refusing to start, stopping, and how small it stays."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from collecting import collector
from e2e.trial import SECRETS
from meshtrial.demo.programs import program
from plan_texts import RANK

ANYWHERE = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(RANK)
    return path


def serve(directory: Path, *arguments: str | Path, secrets: dict[str, str] = SECRETS) -> tuple[int, str]:
    """Run a `serve` that does not come up; its status and what it said."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith("MESHTRIAL_")}
    command = [sys.executable, "-m", "meshtrial", "serve", *arguments]
    done = subprocess.run(
        command,
        env={**ours, **secrets},
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_a_plan_with_errors_is_one_clear_message(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(
        RANK.replace("weight: 50, cluster: model-v2", "weight: 60, cluster: model-v2").replace(
            "alpha", "alfa"
        )
    )

    decision = "$.experiments.rank-v2.decision"
    status, said = serve(tmp_path, bad, *ANYWHERE)
    assert (status, said.splitlines()) == (
        2,
        [
            f"{bad}:12: $.experiments.rank-v2.arms: the arms' weights must sum to 100, not 110 [weights-sum]",
            f"{bad}:15: {decision}: the key `alpha` is required [key-missing]",
            f"{bad}:17: {decision}.alfa: unknown key `alfa`; did you mean `alpha`? [key-unknown]",
        ],
    )


def test_what_cannot_be_used_is_named(plan: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        used = f"127.0.0.1:{taken.getsockname()[1]}"
        for flags in (["--listen", used], ["--admin", used]):
            said = serve(tmp_path, plan, *ANYWHERE, *flags)
            assert said == (2, f"cannot listen on {used}: Address already in use\n")
    cases = {
        ("--listen", "nowhere"): "`nowhere` is no address: write HOST:PORT, such as 127.0.0.1:9002\n",
        ("--listen", "192.0.2.1:9002"): "cannot listen on 192.0.2.1:9002: ",
        ("--listen", "unix:/nowhere/at/all"): "cannot listen on unix:/nowhere/at/all: write unix:/path in a ",
        ("--listen", "unix:"): "cannot listen on unix:: write unix:/path in a directory that exists\n",
        ("--admin", "9003"): "--admin: `9003` is no address: write HOST:PORT, such as 127.0.0.1:9002\n",
        ("--collector", "localhost:4318"): "the URL of an OTLP receiver is written http://127.0.0.1:4318",
        ("--late-after", "-1"): "--late-after: -1.0 is not between 0 and 60,000 milliseconds\n",
        ("--spool", "/proc/nowhere"): "the spool /proc/nowhere cannot be written: ",
    }
    for wrong, message in cases.items():
        status, said_of_it = serve(tmp_path, plan, *ANYWHERE, *wrong)
        assert (status, said_of_it.startswith(message)) == (2, True), said_of_it
    assert serve(tmp_path, plan, *ANYWHERE, secrets={}) == (
        2,
        "no pseudonym key: `export MESHTRIAL_KEY=$(openssl rand -hex 32)`, or --key-file FILE\n",
    )
    short = serve(tmp_path, plan, *ANYWHERE, secrets={"MESHTRIAL_KEY": "short"})
    assert short[0] == 2
    assert "16" in short[1]
    assert "short" not in short[1].replace("too short", "")
    absent = serve(tmp_path, "absent.yaml", *ANYWHERE)
    assert absent == (2, "the plan absent.yaml cannot be read: No such file or directory\n")


def test_a_settings_file_is_read_and_its_typos_refused(plan: Path, tmp_path: Path) -> None:
    (tmp_path / "meshtrial.toml").write_text('admin = "wrong"\n')
    assert serve(tmp_path, plan)[1].startswith("--admin: `wrong` is no address")
    (tmp_path / "meshtrial.toml").write_text('admn = "127.0.0.1:0"\n')
    status, said = serve(tmp_path, plan)
    assert (status, said.startswith("meshtrial.toml: unknown setting `admn`; known: admin, ")) == (2, True)


def test_a_stop_while_nobody_asks_is_quick_and_clean(plan: Path, tmp_path: Path) -> None:
    arguments = ["-m", "meshtrial", "serve", str(plan), *ANYWHERE, "--spool", str(tmp_path / "spool")]
    with (
        collector(tmp_path / "store") as receiver,
        program("serve", [*arguments, "--collector", receiver.http], tmp_path, SECRETS) as started,
    ):
        health = json.loads(urllib.request.urlopen(started.where["admin"] + "/healthz").read())
        assert health["status"] == "ok"
        assert health["components"]["plan"]["digest"] == started.where["plan"]
        began = time.monotonic()
        started.process.signal(signal.SIGTERM)
        assert started.process.child.wait(10) == 0
        assert time.monotonic() - began < 3
    events = [json.loads(line)["event"] for line in (tmp_path / "serve.log").read_text().splitlines()]
    assert events == ["ready", "stopping", "stopped"]


def test_it_needs_none_of_the_extras_and_stays_under_100_megabytes(plan: Path, tmp_path: Path) -> None:
    blocked = ["numpy", "scipy", "duckdb", "pyarrow", "envoy_data_plane", "betterproto2", "sklearn"]
    blocked += ["pandas", "statsmodels", "google.rpc", "opentelemetry.sdk", "requests"]
    script = tmp_path / "alone.py"
    script.write_text(
        "import sys, importlib.abc\n"
        "class Blocked(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name.startswith(tuple({blocked!r})): raise ModuleNotFoundError(name=name)\n"
        "sys.meta_path.insert(0, Blocked())\n"
        "from meshtrial.cli.main import main; main()\n"
    )
    arguments = [str(script), "serve", str(plan), *ANYWHERE, "--spool", str(tmp_path / "spool")]
    with program("alone", arguments, tmp_path, SECRETS) as started:
        status = Path(f"/proc/{started.process.child.pid}/status").read_text()
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    assert resident < 100_000  # kB

    done = subprocess.run(
        [sys.executable, script, "report", "rank-v2", "--plan", plan, "--store", tmp_path],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (
        2,
        "this command needs more of meshtrial: pip install 'meshtrial[analysis]'\n",
    )


@pytest.mark.parametrize("secret", ["two\nlines of it, long enough", "not ascii €, long enough"])
def test_a_secret_that_no_header_could_carry_is_refused_and_not_shown(
    plan: Path, tmp_path: Path, secret: str
) -> None:
    status, said = serve(tmp_path, plan, *ANYWHERE, secrets={**SECRETS, "MESHTRIAL_OTLP_TOKEN": secret})

    assert (status, said) == (2, "the variable MESHTRIAL_OTLP_TOKEN must hold one line of printable ASCII\n")
