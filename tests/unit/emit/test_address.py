import pytest

from meshtrial.emit.address import bind, bind_loopback, is_name, peer, peer_or_unix
from meshtrial.errors import SettingError


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8001", "127.0.0.1", 8001),
        ("[::1]:8001", "::1", 8001),
        ("model-v1.models.svc.cluster.local:80", "model-v1.models.svc.cluster.local", 80),
        ("model_v1:65535", "model_v1", 65535),
        ("localhost.:1", "localhost.", 1),
    ],
)
def test_a_peer_is_an_ip_address_or_a_name_with_a_port(text: str, host: str, port: int) -> None:
    assert peer(text, "endpoint a").to_dict() == {"socketAddress": {"address": host, "portValue": port}}


@pytest.mark.parametrize("port", ["", "0", "65536", "-1", "http", "٨٠", "8 0"])
def test_a_bad_port_is_named_with_the_range(port: str) -> None:
    text = f"127.0.0.1:{port}"
    with pytest.raises(SettingError) as error:
        peer(text, "endpoint a")
    assert str(error.value) == (
        f"endpoint a {text!r}: write HOST:PORT with a port from 1 to 65535, as 127.0.0.1:9000"
    )


@pytest.mark.parametrize(
    "host",
    ["", "::1", "[127.0.0.1]", "[model]", "1.2.3.999", "a..b", "-a", "a-.b", "a b", "a/b", "é", "a" * 254],
)
def test_a_bad_host_is_named_with_what_a_host_can_be(host: str) -> None:
    text = f"{host}:80"
    with pytest.raises(SettingError) as error:
        peer(text, "collector")
    assert str(error.value) == (
        f"collector {text!r}: the host must be an IPv4 address, an IPv6 address in brackets, or a name"
    )


def test_an_address_to_listen_on_may_leave_the_port_to_the_system() -> None:
    assert bind("0.0.0.0:0", "listen").socket_address is not None


def test_envoy_does_not_listen_on_a_name() -> None:
    with pytest.raises(SettingError) as error:
        bind("localhost:80", "listen")
    assert str(error.value) == (
        "listen localhost:80: Envoy listens on an IP address, not on a name: "
        "127.0.0.1 for this machine alone, 0.0.0.0 for every IPv4 interface"
    )


@pytest.mark.parametrize("text", ["127.0.0.1:9901", "127.8.8.8:9901", "[::1]:0"])
def test_the_admin_interface_takes_loopback(text: str) -> None:
    assert bind_loopback(text, "admin") == bind(text, "admin")


@pytest.mark.parametrize("text", ["0.0.0.0:9901", "10.0.0.1:9901", "[::]:9901"])
def test_the_admin_interface_takes_nothing_that_others_reach(text: str) -> None:
    with pytest.raises(SettingError, match="can stop Envoy, so it listens on a loopback address alone"):
        bind_loopback(text, "admin")


def test_a_sidecar_may_be_a_socket_in_the_file_system() -> None:
    assert peer_or_unix("unix:/run/meshtrial.sock", "sidecar").to_dict() == {
        "pipe": {"path": "/run/meshtrial.sock"}
    }
    assert peer_or_unix("localhost:9002", "sidecar") == peer("localhost:9002", "sidecar")


@pytest.mark.parametrize("path", ["", "run/a.sock", "@abstract", "/a\nb", "/" + "a" * 107])
def test_a_sockets_path_is_absolute_printable_and_short_enough_for_linux(path: str) -> None:
    with pytest.raises(SettingError, match="absolute path of at most 107 bytes"):
        peer_or_unix(f"unix:{path}", "sidecar")


@pytest.mark.parametrize(
    ("text", "name"), [("127.0.0.1:1", False), ("[::1]:1", False), ("localhost:1", True), ("unix:/a", False)]
)
def test_only_a_name_must_be_resolved(text: str, name: bool) -> None:
    assert is_name(peer_or_unix(text, "sidecar")) is name
