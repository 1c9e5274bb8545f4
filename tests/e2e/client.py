"""A client that can send what polite ones cannot: any header, in any case, any number of times."""

import http.client
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The only value of a header, None where there is none."""
        values = [value for key, value in self.headers if key == name]
        assert len(values) < 2, values
        return values[0] if values else None

    @property
    def model(self) -> str:
        """The model that answered."""
        return str(self._echo()["model"])

    def reached_model(self, name: str) -> list[str]:
        """The values of a header as they reached the model."""
        return [value for key, value in self._echo()["headers"] if key == name]

    @property
    def next_model(self) -> str:
        """The model that the first one asked."""
        return str(self._echo()["next"]["model"])

    def reached_next_model(self, name: str) -> list[str]:
        """The values of a header as they reached the model that the first one asked."""
        return [value for key, value in self._echo()["next"]["headers"] if key == name]

    def _echo(self) -> dict[str, Any]:
        assert self.status == 200, (self.status, self.body)
        echo: dict[str, Any] = json.loads(self.body)
        return echo


def get(
    address: str, path: str, headers: Sequence[tuple[str, str]] = (), *, method: str = "GET", host: str = ""
) -> Answer:
    """GET over a connection of its own, the headers exactly as they are given."""
    connection = http.client.HTTPConnection(address, timeout=20)
    try:
        connection.putrequest(method, path, skip_host=bool(host))
        for name, value in [*([("host", host)] if host else []), *headers]:
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        found = tuple((name.lower(), value) for name, value in response.getheaders())
        return Answer(response.status, found, response.read())
    finally:
        connection.close()
