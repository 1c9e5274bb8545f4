"""`python bench/decide.py`: what a decision costs in plans of many experiments, and what compiling them does.

::

    python bench/decide.py [--rounds 9] [--json FILE] [--page FILE]

Exit status 1 where the target is missed.
"""

import argparse
import gc
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import yaml
from figures import Table
from report import flags, publish

from meshtrial.assign.decide import decide
from meshtrial.assign.request import Request
from meshtrial.plan.load import load
from meshtrial.plan.model import Plan

BEGIN, END = "<!-- decide: written by bench/decide.py -->\n", "<!-- end of decide -->\n"
CASES = ((1, 1), (3, 3), (10, 3), (100, 3), (1000, 3))
"""Experiments in the plan, and how many of them each request matches."""
TARGET = 2.0
"""Times the cost of 3 experiments alone that 3 of 100 may cost."""
_PLAN = Path(__file__).with_name("plan.yaml")
_CALLS = 2000


class Cost(msgspec.Struct, frozen=True):
    """One plan."""

    experiments: int
    matching: int
    decision_us: tuple[float, ...]
    """Microseconds per decision, one of each round."""
    compile_ms: tuple[float, ...]
    """Milliseconds of CPU time from text to Plan, three times."""


def main() -> int:
    """Measure, print, and say whether the target is met."""
    wanted = _arguments()
    costs = measured(wanted.rounds)
    publish([table(costs)], costs, wanted, (BEGIN, END))
    return 0 if ratio(costs, 100) <= TARGET else 1


def measured(rounds: int) -> list[Cost]:
    """All cases, in turns, so that what disturbs one round disturbs all of them."""
    texts = [document(*case) for case in CASES]
    compiled = [[_compile_ms(text) for _ in range(3)] for text in texts]
    plans = [load(text, "plan.yaml") for text in texts]
    requests = [request(number) for number in range(_CALLS)]
    gc.disable()
    turns = [[_decision_us(plan, requests) for plan in plans] for _ in range(rounds)]
    gc.enable()
    decisions = zip(*turns, strict=True)
    return [
        Cost(*case, tuple(us), tuple(ms)) for case, us, ms in zip(CASES, decisions, compiled, strict=True)
    ]


def document(experiments: int, matching: int) -> str:
    """A plan: one experiment that chooses the cluster, others that set a header, all on the same path.

    Of three that match, one has an audience and one is in a layer. The rest are on other paths, a third of
    them of a route of their own and a third of a host.
    """
    found: dict[str, Any] = yaml.safe_load(_PLAN.read_text())
    [(name, first)] = found["experiments"].items()
    beside = {key: value for key, value in first.items() if key != "unit"}
    arms = {arm: {"weight": 50, "headers": {"x-look": arm}} for arm in first["arms"]}
    font = {arm: {"weight": 50, "headers": {"x-font": arm}} for arm in first["arms"]}
    audience = [{"header": "x-country", "in": ["IN", "US"]}]
    three = [
        (name, first),
        ("look", {**first, "arms": arms, "audience": audience}),
        ("font", {**beside, "arms": font, "layer": "fonts", "slice": ["10%", "100%"]}),
    ]
    further = ("path_prefix", "route", "host")
    elsewhere = [
        {further[n % 3]: f"{n}.example.com", "path_prefix": f"/{n}/"} for n in range(experiments - matching)
    ]
    others = {f"{name}-{n}": {**first, "match": match} for n, match in enumerate(elsewhere)}
    found["layers"] = {"fonts": {"unit": first["unit"], "holdout": "5%"}}
    found["experiments"] = {**dict(three[:matching]), **others}
    return json.dumps(found)


def request(number: int) -> Request:
    """A user's, as the proxy passes it on."""
    headers = {
        ":authority": (b"shop.example.com",),
        ":method": (b"GET",),
        "x-user-id": (b"user-%d" % number,),
        "x-country": (b"IN",),
        "x-request-id": (b"3f8a2b54-6a0e-4d0c-9d3b-%012d" % number,),
    }
    return Request(f"/recommend?item={number}", "recommend", headers)


def table(costs: Sequence[Cost]) -> Table:
    """A row for each plan."""
    rows = [
        (
            f"{cost.experiments:,}",
            f"{cost.matching}",
            f"{median(cost.decision_us):.1f} ({min(cost.decision_us):.1f}..{max(cost.decision_us):.1f})",
            f"{ratio(costs, cost.experiments):.2f}",
            f"{median(cost.compile_ms):,.0f}",
        )
        for cost in costs
    ]
    header = ("experiments", "of which match", "a decision, us", "times 3 alone", "compiling, ms")
    return Table("A decision, by the experiments of the plan", header, tuple(rows))


def ratio(costs: Sequence[Cost], experiments: int) -> float:
    """The median over the rounds of a plan's cost over that of 3 experiments, all of which match."""
    by_size = {cost.experiments: cost.decision_us for cost in costs}
    return median(us / alone for us, alone in zip(by_size[experiments], by_size[3], strict=True))


def _compile_ms(text: str) -> float:
    start = time.process_time()
    load(text, "plan.yaml")
    return (time.process_time() - start) * 1e3


def _decision_us(plan: Plan, requests: Sequence[Request]) -> float:
    """CPU time, which does not grow with what else the machine does; requests are new ones to each plan."""
    fresh = [Request(r.path, r.route, r.headers) for r in requests]
    start = time.process_time()
    for one in fresh:
        decide(one, plan)
    return (time.process_time() - start) * 1e6 / len(fresh)


def _arguments() -> argparse.Namespace:
    parser = flags(__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="how often each is measured, 9 if left out")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
