"""Plans that change while a real Envoy asks: no request fails, and each meets the plan of its time."""

import hashlib
import http.client
import itertools
import json
import threading
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass
from typing import Self

import pytest

from e2e.trial import Trial, trial, until
from meshtrial.plan.load import load
from plan_texts import RANK
from proof import often

SWAPS = often(20, 200)
PLANS = (RANK, RANK.replace("buckets: 100", "buckets: 100\n    salt: other"))
"""Half of the users get another arm under the second."""
DIGESTS = [load(text, "plan.yaml").digest for text in PLANS]
SALTS = dict(zip(DIGESTS, ("rank-v2", "other"), strict=True))


def arm_of(user: str, digest: str) -> str:
    """The textbook: md5 of `salt:user`, modulo 100, half of it."""
    return "v2" if int(hashlib.md5(f"{SALTS[digest]}:{user}".encode()).hexdigest(), 16) % 100 < 50 else "v1"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: times by the monotonic clock, status 0 where the connection failed."""

    path: str
    user: str
    began: float
    ended: float
    status: int
    model: str


class Clients:
    """Ask without a pause until the block ends, each time for a path of its own: the log is read by it."""

    def __init__(self, proxy: str, clients: int = 3) -> None:
        self.asked: list[Asked] = []
        self._proxy = proxy
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        connection = http.client.HTTPConnection(self._proxy, timeout=10)
        deadline = time.monotonic() + often(60, 600)
        while not self._stop.wait(0.002) and time.monotonic() < deadline:
            number = next(self._numbers)
            path, user = f"/recommend/{number}", f"user-{number % 400}"
            began, status, model = time.monotonic(), 0, ""
            try:
                connection.request("GET", path, headers={"x-user-id": user})
                response = connection.getresponse()
                status, model = response.status, json.loads(response.read())["model"]
            except (OSError, http.client.HTTPException):
                connection.close()
            self.asked.append(Asked(path, user, began, time.monotonic(), status, model))
        connection.close()


@dataclass(frozen=True, slots=True)
class Span:
    """When a plan may have been in force, and within that when it surely was."""

    digest: str
    earliest: float
    surely: float
    until: float
    latest: float


def swap_to_and_fro(running: Trial) -> list[Span]:
    """Swap two plans many times; one span for each plan that was in force, one after another."""
    plan = running.directory / "plan.yaml"
    changes = [(0.0, 0.0)]
    for number in range(1, SWAPS + 1):
        text, digest = PLANS[number % 2], DIGESTS[number % 2]
        time.sleep(0.15)
        new = plan.with_name("new.yaml")
        new.write_text(text)
        renamed = time.monotonic()
        new.rename(plan)
        until(lambda digest=digest: in_force(running) == digest, 5)  # type: ignore[misc]
        changes.append((renamed, time.monotonic()))
    time.sleep(0.15)
    changes.append((float("inf"), float("inf")))
    return [
        Span(DIGESTS[number % 2], *came, *went)
        for number, (came, went) in enumerate(itertools.pairwise(changes))
    ]


def in_force(running: Trial) -> str:
    with urllib.request.urlopen(f"{running.sidecar.where['admin']}/healthz", timeout=10) as answer:
        return str(json.loads(answer.read())["components"]["plan"]["digest"])


def test_swapping_plans_under_load_fails_no_request_and_routes_none_wrongly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Time enough for a decision: this is about which plan makes it, on however busy a machine.
    monkeypatch.setenv("MESHTRIAL_LATE_AFTER", "0")
    with trial(RANK, message_timeout_ms=1000) as running:
        with Clients(running.proxy) as clients:
            spans = swap_to_and_fro(running)
        asked = clients.asked
        log = {line["path"]: line for line in running.access_log(len(asked))}
        exposures = running.exposures(len(asked))

    assert {each.status for each in asked} == {200}
    assert len(log) == len(asked) > SWAPS * 20
    surely = Counter[int]()
    for each in asked:
        digest = log[each.path]["plan"]
        possible = [
            n for n, span in enumerate(spans) if span.earliest <= each.ended and each.began <= span.latest
        ]
        assert digest in {spans[n].digest for n in possible}, each
        assert each.model == f"model-{arm_of(each.user, digest)}"
        surely.update(n for n in possible if spans[n].surely <= each.began and each.ended <= spans[n].until)
    assert all(surely[n] > 0 for n in range(SWAPS + 1)), surely

    served = Counter((n["trace_id"], n["unit"], n["plan"], n["arms"]) for n in log.values())
    recorded = Counter((e["trace_id"], e["unit"], e["plan"], f"rank-v2={e['arm']}") for e in exposures)
    assert served == recorded
