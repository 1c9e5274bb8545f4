"""`meshtrial collect`."""

from pathlib import Path
from typing import Annotated

from meshtrial import settings
from meshtrial.cli.options import address, option, read_secret, require_secret


def collect(
    store: Annotated[Path, option(settings.STORE)] = Path(settings.STORE.default),
    otlp_grpc: Annotated[str, option(settings.OTLP_GRPC)] = settings.OTLP_GRPC.default,
    otlp_http: Annotated[str, option(settings.OTLP_HTTP)] = settings.OTLP_HTTP.default,
    forward: Annotated[str | None, option(settings.FORWARD)] = None,
    key_file: Annotated[Path | None, option(settings.KEY.file)] = None,
    token_file: Annotated[Path | None, option(settings.TOKEN.file)] = None,
    otlp_token_file: Annotated[Path | None, option(settings.OTLP_TOKEN.file)] = None,
    forward_token_file: Annotated[Path | None, option(settings.FORWARD_TOKEN.file)] = None,
) -> None:
    """Receive spans (OTLP) and outcomes (JSON over HTTP), and store them.

    With the key of `meshtrial serve`, and a token that senders of outcomes must show:

        export MESHTRIAL_KEY=$(openssl rand -hex 32)
        export MESHTRIAL_TOKEN=$(openssl rand -hex 32)
        meshtrial collect --store meshtrial-store

    When it is ready it says so in one line of JSON on stderr.
    """
    import uvloop

    from meshtrial import logs
    from meshtrial.collect.service import CollectSettings, run
    from meshtrial.pseudonym import PseudonymKey

    otlp_token = read_secret(settings.OTLP_TOKEN, otlp_token_file)
    chosen = CollectSettings(
        store=store,
        key=PseudonymKey.of(require_secret(settings.KEY, key_file).encode()),
        token=require_secret(settings.TOKEN, token_file).encode(),
        otlp_token=None if otlp_token is None else otlp_token.encode(),
        otlp_grpc=address(settings.OTLP_GRPC, otlp_grpc),
        otlp_http=address(settings.OTLP_HTTP, otlp_http),
        forward=forward,
        forward_token=read_secret(settings.FORWARD_TOKEN, forward_token_file),
    )
    logs.configure()
    uvloop.run(run(chosen))
