"""Pass on by OTLP/HTTP what is on disk, so that the same traces can be looked at elsewhere.

Stage: store -> **forward** -> Jaeger, or any OTLP receiver. What waits lies in a spool beside the store; what
the spool has no room for is counted, and stays in the store.
"""

from pathlib import Path

from meshtrial.record.delivery import Delivery
from meshtrial.record.otlp_http import OtlpHttp
from meshtrial.record.spool import Spool


def forward_to(url: str, token: str | None, store: Path) -> Delivery:
    """Start forwarding to the receiver at `url` (`http://host:4318`), which may ask for a token.

    Raises:
        SettingError: The URL or the spool cannot be used.
    """
    receiver = OtlpHttp(url, token)
    return Delivery(Spool(store / "forward"), receiver.send)
