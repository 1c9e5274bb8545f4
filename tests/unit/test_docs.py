"""What the documentation says is so."""

import re
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from meshtrial.cli.main import app
from meshtrial.doctor.checks import checks_table
from meshtrial.plan.load import load
from meshtrial.settings import SECRETS, SETTINGS, settings_page

ROOT = Path(__file__).parents[2]
NAMED = ("README.md", "CONTRIBUTING.md", "envoy/README.md")
PAGES = [*(ROOT / name for name in NAMED), *sorted((ROOT / "docs").glob("*.md"))]


def commands() -> Any:
    """The command group, as Typer builds it."""
    return get_command(app)


def by_name() -> dict[str, Any]:
    """Every command, one of a group by both names: `outcome import`."""
    found: dict[str, Any] = {}
    for name, command in commands().commands.items():
        inner = getattr(command, "commands", {})
        found |= {f"{name} {sub}": of_group for sub, of_group in inner.items()} or {name: command}
    return found


def test_the_settings_page_is_made_from_the_settings() -> None:
    assert (ROOT / "docs/settings.md").read_text() == settings_page()


def test_the_doctors_page_ends_with_the_table_of_its_checks() -> None:
    assert (ROOT / "docs/doctor.md").read_text().endswith("\n\n" + checks_table())


def test_every_setting_is_a_flag_of_each_command_that_it_names_with_its_variable_and_default() -> None:
    for setting in (*SETTINGS, *(secret.file for secret in SECRETS)):
        for command in setting.commands:
            options = {o: p for p in by_name()[command].params for o in p.opts}
            found = options[setting.flag]
            assert found.envvar == setting.variable
            assert str(found.default or "") in {setting.default, f"{setting.default}.0"}


def test_every_flag_that_reads_a_variable_is_a_setting() -> None:
    known = {s.variable: s.commands for s in (*SETTINGS, *(secret.file for secret in SECRETS))}
    for name, command in by_name().items():
        for parameter in command.params:
            if parameter.envvar is not None:
                assert name in known[str(parameter.envvar)]


def test_no_flag_takes_a_secret() -> None:
    for command in by_name().values():
        flags = {flag for parameter in command.params for flag in parameter.opts}
        assert not flags & {"--key", "--token", "--otlp-token"}


def test_the_plan_in_the_readme_is_a_plan() -> None:
    [text] = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)

    assert load(text, "README.md").experiment("rank-v2") is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_on_a_page_exists(page: Path) -> None:
    named = re.findall(r"^\s*(?:#\s*)?meshtrial ([a-z]+)", page.read_text(), re.MULTILINE)

    assert set(named) <= set(commands().commands) | {"serve"}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "protos/CONTRACT.md"], ids=lambda page: page.name)
def test_every_link_and_file_on_a_page_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
        assert (page.parent / link).exists(), link


def test_every_metric_on_the_page_of_running_it_is_exported() -> None:
    page = (ROOT / "docs/running.md").read_text()
    named = re.findall(r"`(meshtrial_[a-z_]+?)(?:_total)?(?:\{([a-z,]+)\})?`", page)
    source = "".join(path.read_text() for path in (ROOT / "sidecar/meshtrial").rglob("*.py"))

    for metric, labels in named:
        base = metric.removesuffix("_waiting_bytes")
        assert f'"{base}"' in source, metric
        assert all(f'"{label}"' in source for label in labels.split(",") if label)
