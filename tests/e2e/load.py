"""The load of some clients."""

import http.client
import itertools
import json
import threading
import time
from dataclasses import dataclass, field
from typing import Self

from e2e.trial import until
from proof import often


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: times by the monotonic clock, status 0 where the connection failed."""

    path: str
    user: str
    began: float
    ended: float
    status: int
    model: str


@dataclass
class Load:
    """Clients that ask without a pause until the block ends; bounded in time."""

    proxy: str
    path: str = "/recommend"
    """`{}` in it is each request's own number."""
    users: int = 400
    clients: int = 3
    asked: list[Asked] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(self.clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, more: int) -> None:
        """Until so many more requests were answered."""
        enough = len(self.asked) + more
        until(lambda: len(self.asked) >= enough)

    def _ask(self) -> None:
        connection = http.client.HTTPConnection(self.proxy, timeout=20)
        deadline = time.monotonic() + often(120, 1200)
        while not self._stop.wait(0.002) and time.monotonic() < deadline:
            number = next(self._numbers)
            path, user = self.path.format(number), f"user-{number % self.users}"
            began, status, model = time.monotonic(), 0, ""
            try:
                connection.request("GET", path, headers={"x-user-id": user})
                response = connection.getresponse()
                status, body = response.status, response.read()
                model = json.loads(body)["model"] if status == http.HTTPStatus.OK else ""
            except (OSError, http.client.HTTPException):
                connection.close()
            self.asked.append(Asked(path, user, began, time.monotonic(), status, model))
        connection.close()
