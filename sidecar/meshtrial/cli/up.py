"""`meshtrial up`: sidecar and collector in one command."""

import asyncio
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshtrial import settings
from meshtrial.cli.options import option
from meshtrial.errors import SettingError
from meshtrial.settings import Secret

if TYPE_CHECKING:
    from collections.abc import Sequence


def up(
    plan: Annotated[Path, typer.Argument(help="The plan document.", metavar="PLAN")],
    data: Annotated[Path, option(settings.DATA)] = Path(settings.DATA.default),
    listen: Annotated[str, option(settings.LISTEN)] = settings.LISTEN.default,
    admin: Annotated[str, option(settings.ADMIN)] = settings.ADMIN.default,
    otlp_grpc: Annotated[str, option(settings.OTLP_GRPC)] = settings.OTLP_GRPC.default,
    otlp_http: Annotated[str, option(settings.OTLP_HTTP)] = settings.OTLP_HTTP.default,
    late_after: Annotated[float, option(settings.LATE_AFTER)] = float(settings.LATE_AFTER.default),
    forward: Annotated[str | None, option(settings.FORWARD)] = None,
    key_file: Annotated[Path | None, option(settings.KEY.file)] = None,
    token_file: Annotated[Path | None, option(settings.TOKEN.file)] = None,
    otlp_token_file: Annotated[Path | None, option(settings.OTLP_TOKEN.file)] = None,
    forward_token_file: Annotated[Path | None, option(settings.FORWARD_TOKEN.file)] = None,
) -> None:
    r"""Run sidecar and collector together: one directory, one log, one stop.

    Start it, and judge from another terminal:

        meshtrial up plan.yaml
        meshtrial report rank-v2 --store meshtrial-data/store

    The pseudonym key and the outcome token are made once and kept in the directory, where the settings name
    none. With the token, applications report what users did:

        curl http://127.0.0.1:4318/v1/outcomes \
          -H "authorization: Bearer $(cat meshtrial-data/token)" \
          -d '{"id": "order-1", "name": "purchase", "time": '$(date +%s)',
            "unit": {"kind": "header:x-user-id", "value": "u42"}}'

    SIGTERM or Ctrl-C stops the sidecar, then the collector. If one of them ends, so does the other. SIGHUP
    has the plan read again. `meshtrial emit envoy` prints the proxy's configuration.
    """
    from meshtrial import logs
    from meshtrial.cli.plan_file import read_plan

    read_plan(plan)  # its errors come at once and as they are
    logs.configure()
    try:
        data.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(f"the directory {data} cannot be made: {error.strerror}") from error
    key = _secret(settings.KEY, key_file, data)
    token = _secret(settings.TOKEN, token_file, data)
    shared = [*key, *_flag(settings.OTLP_TOKEN.file.flag, otlp_token_file)]
    collect = [
        *("collect", "--store", str(data / "store"), "--otlp-grpc", otlp_grpc, "--otlp-http", otlp_http),
        *(*shared, *token, *_flag("--forward", forward)),
        *_flag(settings.FORWARD_TOKEN.file.flag, forward_token_file),
    ]
    serve = [
        *("serve", str(plan), "--listen", listen, "--admin", admin, "--late-after", str(late_after)),
        *("--spool", str(data / "spool"), "--sticky", str(data / "sticky.db"), *shared),
    ]
    status = asyncio.run(_run(collect, serve))
    if status:
        raise typer.Exit(status)


async def _run(collect: "Sequence[str]", serve: "Sequence[str]") -> int:
    from meshtrial.cli.supervise import Part, start, watch
    from meshtrial.listening import on_hangup, stop_signals
    from meshtrial.logs import EventLog

    log = EventLog("up")
    sidecar: Part | None = None

    def hung_up() -> None:
        # One that is not ready yet would die of it, and reads the plan anyway.
        if sidecar is not None:
            sidecar.hang_up()

    with stop_signals() as stop, on_hangup(hung_up):
        collector = await start("collector", collect, stop)
        if collector is None:
            return 0
        where = collector.ready.result()
        try:
            sidecar = await start("sidecar", [*serve, "--collector", where["otlp_http"]], stop)
        except BaseException:
            await collector.stop()
            raise
        if sidecar is None:
            return await collector.stop()
        there = sidecar.ready.result()
        places = {"otlp_grpc": where["otlp_grpc"], "otlp_http": where["otlp_http"], "store": where["store"]}
        log.info("ready", component="up", ext_proc=there["ext_proc"], admin=there["admin"], **places)
        # The sidecar first: what it holds goes to the collector, which then writes it.
        status = await watch([sidecar, collector], stop)
        log.info("stopped", component="up")
        return status


def _flag(name: str, value: object) -> list[str]:
    return [] if value is None else [name, str(value)]


def _secret(secret: Secret, file: Path | None, data: Path) -> list[str]:
    """The flag that leads our programs to a secret; none where the environment, which they have too, does."""
    from meshtrial.logs import EventLog

    if secret.variable in os.environ:
        return []
    if file is None:
        file = data / secret.name
        try:
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as made:
                made.write(secrets.token_hex(32) + "\n")
            EventLog("up").info("secret made", component="up", secret=secret.name, file=str(file))
        except FileExistsError:
            pass
        except OSError as error:
            raise SettingError(f"{file} cannot be written: {error.strerror}") from error
    return [secret.file.flag, str(file)]
