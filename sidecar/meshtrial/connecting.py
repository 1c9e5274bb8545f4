"""URLs of HTTP servers and connections to them: what every part that sends something shares."""

import http.client
from urllib.parse import urlsplit

from meshtrial.errors import SettingError


def connection_to(url: str, name: str, timeout: float) -> tuple[http.client.HTTPConnection, str]:
    """A connection that opens when something is sent, and what the paths behind the URL begin with.

    Args:
        url: `http://host:4318`, `https://host/below`.
        name: What the URL is called in an error.
        timeout: Seconds to connect, and between two reads.

    Raises:
        SettingError: The URL is not of that kind. One with a user is none, as errors and logs repeat it.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise SettingError(f"{name} cannot be read: {error}") from None
    plain = url.isascii() and url.isprintable() and "@" not in parts.netloc
    plain = plain and not (parts.query or parts.fragment)
    if parts.scheme not in {"http", "https"} or not host or not plain:
        raise SettingError(f"{name} is written http://127.0.0.1:4318, no user, no query")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(host, port, timeout=timeout), parts.path.rstrip("/")
