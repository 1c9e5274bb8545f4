"""Users whose every act follows from their names, and clients that act for them: the truth is known."""

import hashlib
import http.client
import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from e2e.trial import SECRETS

CLIENTS = 4
"""In parallel."""
_TOGETHER = 20
"""Users whose outcomes a client reports in one go."""


def chance(user: str, of: str) -> float:
    """In 0..1, even over users, the same at all times, and independent of every split."""
    return int(hashlib.sha256(f"{of}/{user}".encode()).hexdigest()[:12], 16) / 16**12


@dataclass(frozen=True, slots=True)
class Request:
    """What a model is told to answer."""

    status: int
    outcomes: tuple[str, ...] = ()
    """On the response, for the sidecar."""


@dataclass(frozen=True, slots=True)
class Acts:
    """All that one user does and meets."""

    user: str
    arms: Mapping[str, str]
    """Arm by experiment, as the header `x-<experiment>` has it when it reaches the model."""
    requests: tuple[Request, ...]
    spent: float = 0.0
    """Reported by the client, after the last request; 0 for nothing."""
    spent_before: float = 0.0
    """The same, an hour before the first request."""

    def sums(self) -> dict[str, float]:
        """What the metrics add up: each outcome's number, `request`, `error`, `spent` and `spent_before`."""
        told = [outcome for request in self.requests for outcome in request.outcomes]
        return {
            **{outcome: float(told.count(outcome)) for outcome in told},
            "request": float(len(self.requests)),
            "error": float(sum(request.status >= 500 for request in self.requests)),
            "spent": self.spent,
            "spent_before": self.spent_before,
        }


@dataclass(frozen=True, slots=True)
class Crowd:
    """Where users go."""

    proxy: str
    """`HOST:PORT` of Envoy."""
    door: str
    """`HOST:PORT` that outcomes are posted to."""

    def send(self, path: str, everyone: Sequence[Acts]) -> None:
        """Let everyone act; whatever answers otherwise than it must fails the test."""
        hour_ago = time.time() - 3600
        self._report([_spend(acts, "before", acts.spent_before, hour_ago) for acts in everyone])
        shares = [everyone[start::CLIENTS] for start in range(CLIENTS)]
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(lambda share: self._client(path, share), shares))

    def _client(self, path: str, share: Sequence[Acts]) -> None:
        connection = http.client.HTTPConnection(self.proxy, timeout=60)
        for start in range(0, len(share), _TOGETHER):
            spent = []
            for acts in share[start : start + _TOGETHER]:
                for request in acts.requests:
                    _ask(connection, path, acts, request)
                spent.append(_spend(acts, "after", acts.spent, time.time()))
            self._report(spent)
        connection.close()

    def _report(self, outcomes: Sequence[Mapping[str, object] | None]) -> None:
        told = [outcome for outcome in outcomes if outcome]
        if not told:
            return
        connection = http.client.HTTPConnection(self.door, timeout=60)
        headers = {
            "authorization": f"Bearer {SECRETS['MESHTRIAL_TOKEN']}",
            "content-type": "application/json",
        }
        connection.request("POST", "/v1/outcomes", json.dumps(told), headers)
        answer = json.loads(connection.getresponse().read())
        connection.close()
        assert answer["accepted"] == len(told), answer


def _spend(acts: Acts, when: str, amount: float, at: float) -> Mapping[str, object] | None:
    unit = {"kind": "header:x-user-id", "value": acts.user}
    told = {"id": f"{acts.user}/{when}", "unit": unit, "name": "spend", "time": at}
    return {**told, "values": {"amount": amount}} if amount else None


def _ask(connection: http.client.HTTPConnection, path: str, acts: Acts, request: Request) -> None:
    connection.putrequest("GET", path)
    connection.putheader("x-user-id", acts.user)
    connection.putheader("answer-status", str(request.status))
    for outcome in request.outcomes:
        connection.putheader("answer-with", f"x-meshtrial-outcome: {outcome}")
    connection.endheaders()
    response = connection.getresponse()
    reached = dict(json.loads(response.read())["headers"])
    assert response.status == request.status
    assert response.headers["x-meshtrial-outcome"] is None
    assert {name: reached.get(f"x-{name}") for name in acts.arms} == acts.arms
