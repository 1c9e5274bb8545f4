"""The `meshtrial` command: its commands by name, and what the user sees of an error."""

import os
import sys

import typer

from meshtrial import __version__
from meshtrial.cli.assign import assign
from meshtrial.cli.check import check
from meshtrial.cli.collect import collect
from meshtrial.cli.demo import demo
from meshtrial.cli.diff import diff
from meshtrial.cli.doctor import doctor
from meshtrial.cli.emit import emit
from meshtrial.cli.explain import explain
from meshtrial.cli.exposure import exposure
from meshtrial.cli.force import force
from meshtrial.cli.help_text import Command
from meshtrial.cli.options import config_defaults
from meshtrial.cli.outcome import outcome
from meshtrial.cli.report import report
from meshtrial.cli.serve import serve
from meshtrial.cli.simulate import simulate
from meshtrial.cli.size import size
from meshtrial.cli.up import up
from meshtrial.errors import MeshtrialError

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="A/B tests of ML models, run by the proxy and judged honestly.",
    epilog="Start with `meshtrial demo`. Settings also stand in MESHTRIAL_* variables and meshtrial.toml.",
)
COMMANDS = (demo, check, doctor, diff, explain, assign, force, up, serve, collect, size, simulate, report)
for command in COMMANDS:
    app.command(cls=Command)(command)
app.add_typer(emit, name="emit")
app.add_typer(outcome, name="outcome")
app.add_typer(exposure, name="exposure")

_EXTRAS = {
    "duckdb": "analysis", "scipy": "analysis", "numpy": "analysis", "pyarrow": "collect",
    "opentelemetry.proto": "collect", "envoy_data_plane": "emit", "sklearn": "demo",
}  # fmt: skip
"""Which extra brings a library that a command may miss."""


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and stop."),
) -> None:
    """Settings of the file meshtrial.toml become the commands' defaults."""
    if version:
        typer.echo(__version__)
        raise typer.Exit
    defaults = config_defaults()
    context.default_map = dict.fromkeys((c.__name__ for c in COMMANDS), defaults)
    context.default_map["outcome"] = context.default_map["exposure"] = {"import": defaults}


def main() -> None:
    """Run the command line; a user's mistake is one message on stderr and exit status 2."""
    # gRPC's own lines on stderr would stand between ours; what fails there reaches us as an error.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        app()
    except MeshtrialError as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        extra = next((extra for name, extra in _EXTRAS.items() if (error.name or "").startswith(name)), None)
        if extra is None:
            raise
        _fail(f"this command needs more of meshtrial: pip install 'meshtrial[{extra}]'")


def _fail(message: str) -> None:
    typer.echo(message, err=True)
    sys.exit(2)
