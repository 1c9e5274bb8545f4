"""`meshtrial serve`."""

from pathlib import Path
from typing import Annotated

import typer

from meshtrial import settings
from meshtrial.cli.options import address, option, read_secret, require_secret
from meshtrial.errors import SettingError


def serve(
    plan: Annotated[Path | None, typer.Argument(help="The plan document.", metavar="PLAN")] = None,
    envoy: Annotated[
        Path | None,
        typer.Option(help="Instead of PLAN: the proxy's configuration, whose routes carry the plan."),
    ] = None,
    listen: Annotated[str, option(settings.LISTEN)] = settings.LISTEN.default,
    admin: Annotated[str, option(settings.ADMIN)] = settings.ADMIN.default,
    collector: Annotated[str, option(settings.COLLECTOR)] = settings.COLLECTOR.default,
    spool: Annotated[Path, option(settings.SPOOL)] = Path(settings.SPOOL.default),
    late_after: Annotated[float, option(settings.LATE_AFTER)] = float(settings.LATE_AFTER.default),
    sticky: Annotated[Path | None, option(settings.STICKY)] = None,
    key_file: Annotated[Path | None, option(settings.KEY.file)] = None,
    otlp_token_file: Annotated[Path | None, option(settings.OTLP_TOKEN.file)] = None,
) -> None:
    """Answer the proxy: the ext_proc sidecar.

    With a pseudonym key, the same as that of `meshtrial collect`:

        export MESHTRIAL_KEY=$(openssl rand -hex 32)
        meshtrial serve plan.yaml

    Point Envoy at --listen: `meshtrial emit envoy` prints a configuration that does. When it is ready
    it says so in one line of JSON on stderr. From then on it follows the plan's file; SIGHUP has it read
    again.
    """
    import uvloop

    from meshtrial import logs
    from meshtrial.cli.plan_file import read_plan
    from meshtrial.doors.live import PlanSource
    from meshtrial.doors.service import ServeSettings, run
    from meshtrial.pseudonym import PseudonymKey

    if not 0 <= late_after < 60_000:
        raise SettingError(f"--late-after: {late_after} is not between 0 and 60,000 milliseconds")
    file = plan or envoy
    if file is None or (plan and envoy):
        raise SettingError("serve needs one of PLAN and --envoy")
    chosen = ServeSettings(
        listen=listen,
        admin=address(settings.ADMIN, admin),
        collector=collector,
        collector_token=read_secret(settings.OTLP_TOKEN, otlp_token_file),
        spool=spool,
        late_after_ms=late_after,
        sticky=sticky,
        key=PseudonymKey.of(require_secret(settings.KEY, key_file).encode()),
    )
    logs.configure()
    uvloop.run(run(PlanSource(file, lambda: read_plan(file)), chosen))
