"""Plans that change while a real Envoy asks: no request fails, and each meets the plan of its time."""

import hashlib
import itertools
import json
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass

from e2e.load import Load
from e2e.trial import Trial, patient, until
from meshtrial.plan.load import load as compiled
from plan_texts import RANK
from proof import often

SWAPS = often(20, 200)
PLANS = (RANK, RANK.replace("buckets: 100", "buckets: 100\n    salt: other"))
"""Half of the users get another arm under the second."""
DIGESTS = [compiled(text, "plan.yaml").digest for text in PLANS]
SALTS = dict(zip(DIGESTS, ("rank-v2", "other"), strict=True))


def arm_of(user: str, digest: str) -> str:
    """The textbook: md5 of `salt:user`, modulo 100, half of it."""
    return "v2" if int(hashlib.md5(f"{SALTS[digest]}:{user}".encode()).hexdigest(), 16) % 100 < 50 else "v1"


@dataclass(frozen=True, slots=True)
class Span:
    """When a plan may have been in force, and within that when it surely was."""

    digest: str
    earliest: float
    surely: float
    until: float
    latest: float


def swap_to_and_fro(running: Trial, load: Load) -> list[Span]:
    """Swap two plans many times; one span for each plan that was in force, one after another."""
    plan = running.directory / "plan.yaml"
    changes = [(0.0, 0.0)]
    for number in range(1, SWAPS + 1):
        text, digest = PLANS[number % 2], DIGESTS[number % 2]
        stay(load)
        new = plan.with_name("new.yaml")
        new.write_text(text)
        renamed = time.monotonic()
        new.rename(plan)
        until(lambda digest=digest: in_force(running) == digest, 5)  # type: ignore[misc]
        changes.append((renamed, time.monotonic()))
    stay(load)
    changes.append((float("inf"), float("inf")))
    return [
        Span(DIGESTS[number % 2], *came, *went)
        for number, (came, went) in enumerate(itertools.pairwise(changes))
    ]


def stay(load: Load) -> None:
    """Let a plan be met, on a starved machine too: of so many answers some were asked for after it began."""
    time.sleep(0.15)
    load.wait_for(25)


def in_force(running: Trial) -> str:
    with urllib.request.urlopen(f"{running.sidecar.where['admin']}/healthz", timeout=10) as answer:
        return str(json.loads(answer.read())["components"]["plan"]["digest"])


def test_swapping_plans_under_load_fails_no_request_and_routes_none_wrongly() -> None:
    # Time enough for a decision: this is about which plan makes it, on however busy a machine.
    with patient(RANK) as running:
        with Load(running.proxy, "/recommend/{}") as load:
            spans = swap_to_and_fro(running, load)
        asked = load.asked
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
