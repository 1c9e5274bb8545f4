"""The help of every command fits a narrow terminal, and its examples paste."""

import inspect
import os
import re
import shlex
import subprocess
import sys
from typing import Any

import pytest
from typer.main import get_command

from meshtrial.cli.main import app


def found() -> dict[str, Any]:
    commands: dict[str, Any] = {}
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]  # it is a group
        inner = getattr(command, "commands", None)
        commands |= {f"{name} {sub}": one for sub, one in inner.items()} if inner else {name: command}
    return commands


COMMANDS = found()


def shown(command: str) -> list[str]:
    words = [sys.executable, "-m", "meshtrial", *command.split(), "--help"]
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment, timeout=60)
    return [line.rstrip() for line in done.stdout.splitlines()]


def examples(command: str) -> list[str]:
    """The indented lines of what its author wrote, each beside what begins it."""
    text = inspect.cleandoc(COMMANDS[command].help)
    return [line[4:] for line in text.splitlines() if line.startswith("    ")]


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_are_printed_as_they_stand_and_no_blank_line_is_doubled(command: str) -> None:
    lines = shown(command)
    head = lines[: next(n for n, line in enumerate(lines) if line.startswith("╭"))]

    assert examples(command)
    for line in examples(command):
        assert f"   {line}" in lines
    assert "\n\n\n" not in "\n".join(head)
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_an_example_of_each_command_has_its_arguments_and_flags(command: str) -> None:
    joined = "\n".join(examples(command)).replace("\\\n", " ")
    whole = [line.partition(" && ")[0] for line in joined.splitlines()]
    whole = [re.sub(r'.*\$\((.*)\)".*', r"\1", line).partition(" > ")[0] for line in whole]
    ours = [line for line in whole if line.startswith(f"meshtrial {command}")]

    assert ours
    for line in ours:
        words = shlex.split(line)[1 + len(command.split()) :]
        assert COMMANDS[command].make_context(command, words)
