"""What an assignment may look at."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import unquote_to_bytes

MAX_PAIRS = 1000
"""Of a cookie header and of a query: what comes after them is not read."""
NOTHING: Mapping[str, Mapping[str, object]] = {}


@dataclass(frozen=True)
class Request:
    """One HTTP request, as far as a plan can ask about it."""

    path: str
    """`:path` as received, a byte a character: with its query, without any decoding."""
    route: str
    """The proxy's route name before the decision; "" where it is not known."""
    headers: Mapping[str, Sequence[bytes]]
    """All values of each header in order of arrival, by lower-case name; pseudo-headers too."""
    metadata: Mapping[str, Mapping[str, object]] = field(default_factory=lambda: NOTHING)
    """The proxy's dynamic metadata by namespace: what filters before us have verified."""

    @property
    def method(self) -> str:
        """The method; "" where it is not known."""
        values = self.headers.get(":method")
        return values[0].decode("latin-1") if values else ""

    @cached_property
    def host(self) -> str:
        """The authority in lower case, without its port; "" where it is not known."""
        values = self.headers.get(":authority")
        authority = values[0].decode("latin-1").lower() if values else ""
        host, colon, port = authority.rpartition(":")
        return host if colon and not port.strip("0123456789") else authority

    @cached_property
    def cookies(self) -> Mapping[str, Sequence[bytes]]:
        """All values of each cookie, as received: quotes belong to the value (RFC 6265, section 5.2).

        HTTP/1 may bring several `cookie` headers, HTTP/2 joins them: both are one list.
        """
        found: dict[str, list[bytes]] = {}
        for line in self.headers.get("cookie", ()):
            for pair in line.split(b";", MAX_PAIRS)[:MAX_PAIRS]:
                name, equals, value = pair.partition(b"=")
                if equals:
                    found.setdefault(name.strip(_BLANKS).decode("latin-1"), []).append(value.strip(_BLANKS))
        return found

    @cached_property
    def query(self) -> Mapping[str, Sequence[bytes]]:
        """All values of each query parameter, decoded as forms are.

        https://url.spec.whatwg.org/#urlencoded-parsing: `+` is a blank, `%41` is A, and what is no
        percent-encoded byte stays as it is.
        """
        found: dict[str, list[bytes]] = {}
        text = self.path.partition("#")[0].partition("?")[2]
        for pair in text.split("&", MAX_PAIRS)[:MAX_PAIRS]:
            if pair:
                name, _, value = pair.partition("=")
                found.setdefault(_form_decoded(name).decode("utf-8", "replace"), []).append(
                    _form_decoded(value)
                )
        return found


def request_from(
    headers: Iterable[tuple[str, bytes]], path: str, route: str, metadata: Mapping[str, Mapping[str, object]]
) -> Request:
    """A request as a person describes it.

    Args:
        headers: Names and values, pseudo-headers too.
        path: With its query.
        route: The proxy's name of its first route.
        metadata: The proxy's, by namespace.
    """
    found: dict[str, list[bytes]] = {":path": [path.encode()]}
    for name, value in headers:
        found.setdefault(name.strip().lower(), []).append(value.strip(_BLANKS))
    return Request(path.encode().decode("latin-1"), route, found, metadata)


_BLANKS = b" \t"


def _form_decoded(text: str) -> bytes:
    return unquote_to_bytes(text.replace("+", " ").encode("latin-1"))
