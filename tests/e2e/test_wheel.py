"""The wheel: installed on its own, away from the checkout, it has everything."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with nothing but the wheel's content."""
    directory = tmp_path_factory.mktemp("wheel")
    source = directory / "source"  # a copy: what a build leaves behind must not get into the next wheel
    shutil.copytree(
        ROOT / "sidecar", source / "sidecar", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__")
    )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", directory, source], check=True, timeout=170)
    [wheel] = directory.glob("*.whl")
    subprocess.run(
        [*pip, "install", "--no-deps", "--target", directory / "site", wheel], check=True, timeout=60
    )
    return directory / "site"


def run(installed: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command of the wheel, its libraries from this environment, the checkout's package out of reach."""
    script = "import sys, meshtrial; assert meshtrial.__file__.startswith(sys.argv[1])\n"
    script += "sys.argv[:2] = ['meshtrial']; from meshtrial.cli.main import main; main()"
    command = [sys.executable, "-c", script, installed, *arguments]
    away = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(
        command, cwd=installed.parent, capture_output=True, text=True, env=away, timeout=60, check=False
    )


def test_the_wheel_runs_away_from_the_checkout(installed: Path) -> None:
    version = run(installed, "--version")
    assert (version.returncode, version.stderr) == (0, "")

    for command in ("demo", "check", "explain", "serve", "collect", "size", "report", "emit"):
        assert run(installed, command, "--help").returncode == 0


def test_the_wheel_carries_the_demos_plan_the_types_and_the_licence(installed: Path) -> None:
    checked = run(installed, "check", installed / "meshtrial/demo/plan.yaml")
    assert checked.returncode == 0, checked.stderr

    assert (installed / "meshtrial/py.typed").exists()
    assert list(installed.glob("meshtrial-*.dist-info/licenses/LICENSE"))
    assert not (installed / "tests").exists()
