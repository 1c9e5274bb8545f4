"""What a client does: asks for predictions through the proxy, learns the truth, reports the outcome."""

import http.client
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from meshtrial.demo.digits import SEED, held_out
from meshtrial.errors import DemoFailed

USERS = 1200
ROWS_PER_USER = 3
_CLIENTS = 4
"""Connections in parallel: enough to keep two cores busy."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One request, as the client saw it."""

    user: str
    request_id: str
    sent: float
    """Seconds since 1970."""
    status: int
    model: str
    prediction: int
    truth: int


@dataclass(frozen=True, slots=True)
class Target:
    """Where a client sends to."""

    proxy: str
    """HOST:PORT of Envoy."""
    outcomes: str
    """HOST:PORT of the outcome door."""
    token: str


@dataclass(frozen=True, slots=True)
class User:
    """A user and the rows that it will ask about."""

    name: str
    rows: tuple[tuple[float, ...], ...]
    truths: tuple[int, ...]


def users() -> list[User]:
    """All users of the demo; the same every time."""
    rows, labels = held_out()
    picks = np.random.default_rng(SEED).integers(len(labels), size=(USERS, ROWS_PER_USER))
    return [
        User(
            f"user-{number:04}",
            tuple(tuple(map(float, rows[i])) for i in pick),
            tuple(int(labels[i]) for i in pick),
        )
        for number, pick in enumerate(picks, start=1)
    ]


def send(everyone: Sequence[User], target: Target, done: Callable[[], None]) -> list[Seen]:
    """Let all users ask and report; `done` is called after each.

    Raises:
        OSError: A connection failed.
        DemoFailed: An answer was not the one that a client needs.
    """
    shares = [everyone[start::_CLIENTS] for start in range(_CLIENTS)]
    with ThreadPoolExecutor(_CLIENTS) as pool:
        seen = list(pool.map(lambda share: _client(share, target, done), shares))
    return sorted((one for share in seen for one in share), key=lambda one: (one.user, one.sent))


def _client(share: Sequence[User], target: Target, done: Callable[[], None]) -> list[Seen]:
    proxy, outcomes = http.client.HTTPConnection(target.proxy), http.client.HTTPConnection(target.outcomes)
    seen: list[Seen] = []
    try:
        for user in share:
            answers = [
                _ask(proxy, user.name, row, truth) for row, truth in zip(user.rows, user.truths, strict=True)
            ]
            _report(outcomes, target.token, answers)
            seen += answers
            done()
    finally:
        proxy.close()
        outcomes.close()
    return seen


def _ask(proxy: http.client.HTTPConnection, user: str, row: Sequence[float], truth: int) -> Seen:
    sent = time.time()
    headers = {"content-type": "application/json", "x-user-id": user}
    proxy.request("POST", "/predict", json.dumps({"row": row}), headers)
    answer = proxy.getresponse()
    body = json.loads(answer.read() or b"{}") if answer.status == 200 else {}
    request_id = answer.headers.get("x-request-id", "")
    return Seen(
        user, request_id, sent, answer.status, body.get("model", ""), body.get("prediction", -1), truth
    )


def _report(outcomes: http.client.HTTPConnection, token: str, answers: Sequence[Seen]) -> None:
    """One outcome for each answer, and one more for a user whose every digit was read right."""
    unit = {"kind": "header:x-user-id", "value": answers[0].user}
    items: list[dict[str, object]] = [
        {
            "id": f"{one.request_id}/answer",
            "unit": unit,
            "name": "answer",
            "time": time.time(),
            "values": {"correct": int(one.prediction == one.truth)},
        }
        for one in answers
    ]
    if all(one.prediction == one.truth for one in answers):
        items.append({"id": f"{answers[0].user}/solved", "unit": unit, "name": "solved", "time": time.time()})
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    outcomes.request("POST", "/v1/outcomes", json.dumps(items), headers)
    answer = outcomes.getresponse()
    body = answer.read()
    if answer.status != 200 or json.loads(body)["accepted"] != len(items):
        raise DemoFailed(f"the outcome door answered {answer.status}: {body.decode(errors='replace')}")
