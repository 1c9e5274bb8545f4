"""`meshtrial emit`: print the configuration of a proxy."""

import re
from pathlib import Path
from typing import Annotated

import typer

from meshtrial.cli.help_text import Command
from meshtrial.errors import SettingError

emit = typer.Typer(no_args_is_help=True)

_MILLISECONDS = {"ms": 1, "s": 1000}


@emit.callback()
def _emit() -> None:
    """Print the configuration of a proxy that runs a plan."""


@emit.command(cls=Command)
def envoy(
    plan: Annotated[Path, typer.Argument(help="The plan document.", metavar="PLAN")],
    listen: Annotated[
        str, typer.Option(help="Address for clients, port 0 for a free one. [required]", metavar="IP:PORT")
    ] = "",
    endpoint: Annotated[
        list[str] | None,
        typer.Option(
            help="An address of a cluster; again for each one. [required]", metavar="CLUSTER=HOST:PORT"
        ),
    ] = None,
    sidecar: Annotated[
        str, typer.Option(help="Address of `meshtrial serve`, or unix:/path. [required]", metavar="HOST:PORT")
    ] = "",
    collector: Annotated[
        str, typer.Option(help="OTLP/gRPC receiver of the spans. [required]", metavar="HOST:PORT")
    ] = "",
    admin: Annotated[
        str | None, typer.Option(help="Envoy's admin interface, on loopback.", metavar="IP:PORT")
    ] = None,
    message_timeout: Annotated[
        str, typer.Option(help="How long a request waits for its decision.", metavar="DURATION")
    ] = "50ms",
    access_log: Annotated[
        str | None, typer.Option(help="File of the access log; standard output if left out.", metavar="PATH")
    ] = None,
    default_cluster: Annotated[
        str | None,
        typer.Option(help="Cluster for requests in no experiment; 404 if left out.", metavar="CLUSTER"),
    ] = None,
) -> None:
    r"""Print a complete Envoy configuration, as YAML.

    For two models on this machine, with `meshtrial up` or `serve` and `collect` beside it:

        meshtrial emit envoy plan.yaml --listen 0.0.0.0:10000 \
          --endpoint model-v1=127.0.0.1:8001 \
          --endpoint model-v2=127.0.0.1:8002 \
          --sidecar 127.0.0.1:9002 --collector 127.0.0.1:4317 > envoy.yaml
        envoy -c envoy.yaml

    The clusters are those that the plan's arms name. Filters that authenticate are not among it: where the
    plan reads what they write, stderr says so.
    """
    from meshtrial.cli.plan_file import read_plan
    from meshtrial.emit.envoy import envoy as written
    from meshtrial.emit.target import Target
    from meshtrial.plan.needs import readers_of_metadata

    needed = {"--listen": listen, "--endpoint": endpoint, "--sidecar": sidecar, "--collector": collector}
    if missing := [flag for flag, given in needed.items() if not given]:
        raise SettingError(f"emit envoy also needs {', '.join(missing)}: --help has an example")

    target = Target(
        listen=listen,
        endpoints=_endpoints(endpoint or []),
        sidecar=sidecar,
        collector=collector,
        admin=admin,
        message_timeout_ms=_milliseconds(message_timeout),
        access_log=access_log,
        default_cluster=default_cluster,
    )
    compiled = read_plan(plan)
    typer.echo(written(compiled, target), nl=False)
    for namespace, experiments in readers_of_metadata(compiled).items():
        typer.echo(
            f"warning: {', '.join(experiments)}: nothing in this configuration writes the metadata "
            f"`{namespace}`; insert the filter that does before envoy.filters.http.ext_proc "
            "(envoy/README.md, `Units from verified tokens`)",
            err=True,
        )


def _endpoints(flags: list[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for flag in flags:
        # A cluster's name may hold `=`, an address cannot.
        cluster, _, address = flag.rpartition("=")
        if not cluster:
            raise SettingError(f"--endpoint {flag}: write CLUSTER=HOST:PORT, as model-v1=127.0.0.1:8001")
        found[cluster] = (*found.get(cluster, ()), address)
    return found


def _milliseconds(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,6})(ms|s)", text)
    if found is None:
        raise SettingError(f"--message-timeout {text}: write a whole number and ms or s, as 50ms")
    return int(found[1]) * _MILLISECONDS[found[2]]
