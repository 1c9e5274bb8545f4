"""`meshtrial demo`."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option(help="Directory for everything that the demo makes.")] = Path(
        "meshtrial-demo"
    ),
) -> None:
    """Run a real A/B test of two models through a real Envoy, in under two minutes.

    Everything that it makes is kept in meshtrial-demo:

        meshtrial demo

    Trains two classifiers of handwritten digits, serves each over HTTP, starts Envoy, the sidecar and the
    collector on free ports of this machine, lets 1,200 users send 3,600 requests, and judges. Stops
    everything at the end. The same users get the same models every time.
    """
    import signal
    import sys
    from types import FrameType

    from rich.console import Console

    from meshtrial.demo.story import tell

    def stop(number: int, _: FrameType | None) -> None:
        # The programs that were started are ended on the way out, as on Ctrl-C.
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, stop)
    console = Console()
    try:
        tell(out, console)
    except KeyboardInterrupt:
        console.print("Stopped, and everything that was started with it.")
        raise
