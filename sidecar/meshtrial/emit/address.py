"""Text of an address -> Envoy's address, or one sentence that says what is wrong with it."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

from envoy_data_plane.envoy.config.core import v3 as core

from meshtrial.errors import SettingError

_UNIX = "unix:"
_UNIX_PATH_BYTES = 107
"""`sun_path` is 108 bytes with its closing NUL: https://man7.org/linux/man-pages/man7/unix.7.html"""
_NAME = re.compile(
    r"(?=.{1,253}$)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z_][A-Za-z0-9_-]{0,62}\.?"
)
"""A host name (RFC 1123, section 2.1), with the underscore of container networks.

The last label begins with a letter, so that a mistyped IPv4 address is no name.
"""


def bind(text: str, setting: str) -> core.Address:
    """Where Envoy listens: an IP address and a port, 0 for a free one.

    Args:
        text: `HOST:PORT`.
        setting: The setting's name, for the error.

    Raises:
        SettingError: The text is no such address.
    """
    host, port = _split(text, setting, lowest_port=0)
    if _ip(host) is None:
        raise SettingError(
            f"{setting} {text}: Envoy listens on an IP address, not on a name: "
            "127.0.0.1 for this machine alone, 0.0.0.0 for every IPv4 interface"
        )
    return _socket(host, port)


def bind_loopback(text: str, setting: str) -> core.Address:
    """As `bind`, on this machine alone.

    Raises:
        SettingError: The text is no such address, or other machines could reach it.
    """
    address = bind(text, setting)
    ip = _ip(text.rpartition(":")[0])
    if ip is None or not ip.is_loopback:
        raise SettingError(
            f"{setting} {text}: whoever reaches Envoy's admin interface can stop Envoy, "
            "so it listens on a loopback address alone, as 127.0.0.1:9901"
        )
    return address


def peer(text: str, setting: str) -> core.Address:
    """Where Envoy connects to: an IP address or a name, and a port from 1 on.

    Raises:
        SettingError: The text is no such address.
    """
    return _socket(*_split(text, setting, lowest_port=1))


def peer_or_unix(text: str, setting: str) -> core.Address:
    """As `peer`, or `unix:` and the absolute path of a socket.

    Raises:
        SettingError: The text is no such address.
    """
    if not text.startswith(_UNIX):
        return peer(text, setting)
    path = text.removeprefix(_UNIX)
    if not path.startswith("/") or not path.isprintable() or len(path.encode()) > _UNIX_PATH_BYTES:
        raise SettingError(
            f"{setting} {text!r}: a socket is given by its absolute path of at most "
            f"{_UNIX_PATH_BYTES} bytes, as unix:/run/meshtrial.sock"
        )
    return core.Address(pipe=core.Pipe(path=path))


def is_name(address: core.Address) -> bool:
    """Whether Envoy must resolve the host before it can connect."""
    return address.socket_address is not None and _ip(address.socket_address.address) is None


def _split(text: str, setting: str, lowest_port: int) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not port.isascii() or not port.isdigit() or not lowest_port <= int(port) <= 65535:
        raise SettingError(
            f"{setting} {text!r}: write HOST:PORT with a port from {lowest_port} to 65535, as 127.0.0.1:9000"
        )
    ip = _ip(host)
    if isinstance(ip, IPv6Address) != (host != bare) or (ip is None and not _NAME.fullmatch(host)):
        raise SettingError(
            f"{setting} {text!r}: the host must be an IPv4 address, an IPv6 address in brackets, or a name"
        )
    return bare, int(port)


def _ip(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


def _socket(host: str, port: int) -> core.Address:
    return core.Address(socket_address=core.SocketAddress(address=host, port_value=port))
