"""Small stores, and plans for them, that together make the analysis ask everything it can ask."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from judged_rows import rows_of
from meshtrial.plan.excerpt import excerpt
from meshtrial.plan.load import load
from meshtrial.plan.model import Plan
from plan_texts import RANK
from plan_values import experiment, plan_of, plan_text
from trial_rows import Trial, nanoseconds

DAY: Final = 86_400
ARMS: Final = {"v1": {"weight": 50, "cluster": "a"}, "v2": {"weight": 50, "cluster": "b"}}
PURCHASE: Final = {"outcome": "purchase", "value": "amount"}
KINDS: Final[Mapping[str, Any]] = {
    "conversion": {"kind": "proportion", "outcome": "purchase", "window": "2d"},
    "revenue": {"kind": "mean", **PURCHASE, "window": "2d", "cap": "95%", "covariate": "7d"},
    "limited": {"kind": "mean", **PURCHASE, "window": "2d", "cap": 30.5},
    "purchases": {"kind": "count", "outcome": "purchase", "window": "2d"},
    "basket": {
        "kind": "ratio",
        "numerator": PURCHASE,
        "denominator": {"outcome": "visit"},
        "window": "1d",
        "covariate": "7d",
    },
    "slowest": {"kind": "quantile", "q": 0.9, **PURCHASE, "window": "2d"},
    "errors": {"kind": "proportion", "request": "error", "window": "1d"},
    "failures": {"kind": "ratio", "request": "grpc_error", "window": "1d"},
    "latency": {"kind": "ratio", "request": "duration_ms", "window": "1d"},
    "p90": {"kind": "quantile", "q": 0.9, "request": "duration_ms", "window": "1d"},
}
RULE: Final[Mapping[str, Any]] = {
    "method": "fixed",
    "alpha": 0.05,
    "power": 0.8,
    "planned_units": 300,
    "minimum_duration": "3d",
    "lateness": "1h",
}


@dataclass(frozen=True)
class Store:
    """What a report is made of."""

    plan: Plan
    rows: Trial
    day: float = 30
    """When, in days from second 0."""
    peek: bool = False


def judged_by(primary: str, **other: Any) -> dict[str, Any]:
    """A rule with one primary metric."""
    return {**RULE, "primary": [{"metric": primary, "direction": "up", "minimum_effect": 0.5}], **other}


EVERY_KIND: Final = {
    **RULE,
    "primary": [
        {"metric": "conversion", "direction": "up", "minimum_effect": "2pp"},
        {"metric": "revenue", "direction": "up", "minimum_effect": "5% relative"},
        {"metric": "slowest", "direction": "up", "minimum_effect": "5% relative"},
    ],
    "guardrails": [
        {"metric": "errors", "direction": "down", "margin": "20pp"},
        {"metric": "p90", "direction": "down", "margin": "50% relative"},
    ],
    "secondary": [{"metric": name} for name in ("limited", "purchases", "basket", "failures", "latency")],
}


def every_kind(**rule: Any) -> Plan:
    """Every kind of metric; strata whose names and values have quotes, a backslash and none at all."""
    one = experiment(ARMS, decision={**EVERY_KIND, **rule}, strata=["x-country", "x-it's"])
    return plan_of({"rank-v2": one}, metrics=KINDS)


def arm_of(unit: int) -> str:
    return "v2" if unit % 2 else "v1"


def sound(plan: Plan, units: int = 400) -> Trial:
    """Units of eight days with requests and outcomes before and after; nothing amiss."""
    chance, rows = random.Random(units), rows_of(plan)
    for unit in range(units):
        arm, first = arm_of(unit), unit * 8 * DAY / units + chance.uniform(0, 60)
        strata = [("x-country", ("no", "se", "d'k", "a\\b")[unit % 4]), ("x-it's", str(unit % 3))]
        rows.expose(unit, arm, first, Strata=strata[: unit % 5], Plane="ext_proc", Bucket=bucket(unit))
        rows.expose(unit, arm, first + 600, Strata=[("x-country", "other")], Plane="ext_proc")
        slow = chance.lognormvariate(3 + 0.1 * (unit % 2), 0.5)
        codes = {"Status": chance.choice([200, 200, 503, 0]), "GrpcStatus": chance.choice([None, 0, 14])}
        rows.request(unit, arm, first, Duration=round(slow * 1e6), Route=f"to-{arm}", **codes)
        for at in (-3 * DAY, -3600, 1800, 3600, 1.5 * DAY):
            rows.outcome(unit, "visit", first + at + chance.random())
            if chance.random() < 0.6:
                rows.outcome(unit, "purchase", first + at, amount=chance.lognormvariate(3, 0.6))
    return rows


def bucket(unit: int) -> int:
    """One of the unit's arm, where v2 has the first half of 10,000."""
    return unit * 7919 % 5000 + (0 if unit % 2 else 5000)


def amiss(plan: Plan) -> Trial:
    """`sound`, and what goes wrong on the way to a store and in it."""
    rows = sound(plan)
    of_exposure: list[tuple[int, str, float, dict[str, Any]]] = [
        *((unit, "v1", unit * 900, {}) for unit in range(1, 20, 2)),  # a second arm
        *((unit, "v2", DAY, {"Reason": "targeting_match"}) for unit in range(20, 30, 2)),
        *((5000 + unit, arm_of(unit), DAY, {"ReceivedAt": nanoseconds(9 * DAY)}) for unit in range(9)),
        *((5100 + unit, "v2", DAY, {"ReceivedAt": nanoseconds(DAY - 3600)}) for unit in range(3)),
        *((5200 + unit, arm_of(unit), DAY, {"Exposed": False, "Reason": "default"}) for unit in range(4)),
        *((5300 + unit, arm_of(unit), DAY, {"UnitKind": "cookie:sid"}) for unit in range(3)),
        *((5400, arm, DAY, {"TraceId": trace, "SpanId": "1"}) for arm, trace in (("v2", "a"), ("v1", "b"))),
        *((5401, arm, DAY, {"TraceId": "c", "SpanId": span}) for arm, span in (("v2", "2"), ("v1", "1"))),
        (5500, "v9", DAY, {}),
        (5501, "v1", DAY, {"Phase": "another"}),
        (5502, "v1", DAY, {"Experiment": "other", "KeyId": "k1"}),
        (5503, "v1", DAY, {"KeyId": "k2"}),
        (5504, "v1", DAY, {"Exposed": None}),
        (5505, "v1", DAY, {"Arm": None}),
        (5506, "v1", DAY, {"Phase": None, "Exposed": None}),
        (5507, "v1", DAY, {"Unit": None}),
        (5508, "v1", -1e9, {"Cohort": "gone"}),
    ]
    for unit, arm, second, columns in of_exposure:
        rows.expose(unit, arm, second)
        rows.rows[-1].update(columns)
    of_outcome: list[tuple[int, float, dict[str, float], dict[str, Any]]] = [
        *((unit, 3600, {"amount": 5.5}, {"ReceivedAt": nanoseconds(9 * DAY)}) for unit in range(5)),
        *((unit, 3 * DAY, {"amount": 7.25}, {}) for unit in range(9)),  # after the window
        *((unit, 7200, {"price": 1.0}, {}) for unit in range(7)),  # lack what is summed
        (1, 7200, {}, {"SpanAttributes": [("meshtrial.outcome.values.amount", "n/a")]}),
        (2, 7200, {}, {"OutcomeValues": None}),
        (3, 7200, {"amount": 3.0}, {"UnitKind": "cookie:sid"}),
        (4, 7200, {"amount": 3.0}, {"Unit": None, "KeyId": "k1"}),
        (5, 7200, {"amount": 3.0}, {"Outcome": None}),
        (6, 7200, {"amount": 3.0}, {"Outcome": "refund"}),
        (7, 7200, {"amount": 3.0}, {"ReceivedAt": nanoseconds(3600)}),
        (9999, 7200, {"amount": 3.0}, {}),
    ]
    for unit, second, values, columns in of_outcome:
        rows.outcome(unit, "purchase", unit * 8 * DAY / 400 + second, **values)
        rows.rows[-1].update(columns)
    for hour in range(5):
        rows.request(None, None, hour * 3600, Route="to-v1")
        rows.request(None, None, hour * 3600, Route="elsewhere")
        rows.request(6000 + hour, arm_of(hour), hour * 3600, Duration=0)
        rows.request(hour, arm_of(hour), 5 * DAY, Reason="carried", Status=500)
    rows.took("damaged", "{", 0)
    return rows


def at_looks() -> Store:
    """Two of three looks are taken."""
    plan = every_kind(method="group_sequential", looks=["30%", "60%", "100%"], planned_units=600)
    return Store(plan, sound(plan))


def withheld() -> Store:
    plan = every_kind(planned_units=5000)
    return Store(plan, sound(plan), peek=True)


def at_any_time() -> Store:
    plan = every_kind(method="sequential")
    return Store(plan, sound(plan, 900))


def ramped() -> Store:
    """A ramp from 20% to all; one rule changed on the way, and one phase that nobody can explain."""
    metrics = {"spent": KINDS["revenue"]}

    def text(**keys: Any) -> str:
        alpha = keys.pop("alpha", 0.05)
        one = experiment(ARMS, decision=judged_by("spent", alpha=alpha), buckets=100, **keys)
        return plan_text({"rank-v2": one}, metrics=metrics)

    texts = text(ramp="20%"), text(alpha=0.1), text()
    low, middle, plan = (load(one, "plan.yaml") for one in texts)
    rows, chance = rows_of(plan), random.Random(3)
    for form, one, day in zip((low, middle, plan), texts, (0, 4, 6), strict=True):
        rows.took(form.digest, one, day * DAY)
    for unit in range(600):
        second, bucket = unit * 8 * DAY / 600, unit * 37 % 100
        phase = (low if second < 4 * DAY else plan).experiments[0].phase
        phase = "unknown" if second < DAY / 4 else phase
        share = 10 if second < 4 * DAY else 50
        arm = "v2" if bucket < share else "v1"
        known = None if unit % 50 == 0 else bucket
        rows.expose(unit, arm, second, phase=phase, Bucket=known)
        rows.expose(unit, "v2" if bucket < 50 else "v1", 7 * DAY + second / 8, Bucket=known)
        rows.outcome(unit, "purchase", second + 60, amount=chance.lognormvariate(3, 0.5))
    return Store(plan, rows)


def in_cohorts() -> Store:
    """Weights of their own; some units move from one cohort to the other."""
    arms = {
        "v1": {"weight": {"default": 50, "gold": 90}, "cluster": "a"},
        "v2": {"weight": {"default": 50, "gold": 10}, "cluster": "b"},
    }
    one = experiment(arms, decision=judged_by("spent"), strata=["x-device"])
    plan = plan_of(
        {"rank-v2": one},
        metrics={"spent": KINDS["limited"]},
        cohorts={"gold": [{"header": "x-plan", "in": ["gold"]}]},
    )
    rows, chance = rows_of(plan), random.Random(4)
    for unit in range(800):
        is_gold = unit % 4 == 0
        arm = "v2" if chance.random() < (0.1 if is_gold else 0.5) else "v1"
        device = [("x-device", "ab"[unit % 2])]
        rows.expose(unit, arm, unit * 60, Cohort="gold" if is_gold else None, Strata=device)
        if unit % 40 == 0:
            rows.expose(unit, "v2" if arm == "v1" else "v1", unit * 60 + 600, Cohort="default")
        rows.outcome(unit, "purchase", unit * 60 + 900, amount=chance.gauss(20, 4))
    return Store(plan, rows)


def layered(*mates: str) -> Plan:
    """The experiment, and others in the same layer, which holds a tenth out."""
    keys = {"decision": judged_by("spent"), "layer": "web"}
    every = {"rank-v2": {**experiment(ARMS, **keys), "slice": ["10%", "50%"]}}
    for at, mate in enumerate(mates):
        every[mate] = {**experiment(ARMS, **keys), "slice": [f"{50 + 5 * at}%", f"{55 + 5 * at}%"]}
    for one in every.values():
        del one["unit"]
    layers = {"web": {"unit": {"header": "x-user-id"}, "holdout": "10%"}}
    return plan_of(every, metrics={"spent": KINDS["revenue"]}, layers=layers)


def visit(rows: Trial, unit: int, pseudonym: int, first: float) -> None:
    """A fifth is held out of all experiments; of the others two thirds had another one before."""
    if unit % 5 == 0:
        for mate in ("rank-v2", "search", "shelf"):
            rows.expose(pseudonym, "v1", first, exposed=False, Experiment=mate, Reason="holdout")
        return
    if unit % 3:
        former, mate = ("v1", "v2")[unit % 3 - 1], ("search", "shelf")[unit % 2]
        for second, arm in ((0, "v1"), (100, former), (first + 50, "v1")):
            rows.expose(pseudonym, arm, second, phase="before", Experiment=mate)
    rows.expose(pseudonym, arm_of(unit), first)


def in_layer() -> Store:
    """After another experiment, beside a third one that only a record knows, and with a holdout."""
    plan, older = layered("search"), layered("search", "shelf")
    rows, chance = rows_of(plan), random.Random(5)
    shelf = next(one for one in older.experiments if one.id == "shelf")
    rows.took("older", excerpt(older, shelf).canonical, 0, experiment="shelf")
    for unit in range(1200):
        pseudonym, first = chance.randrange(2**64), 2 * DAY + unit * 300
        visit(rows, unit, pseudonym, first)
        if unit % 100 == 5:
            rows.expose(pseudonym, "v1", first + DAY)  # held out no more
        for at in (-DAY, 60, 9 * DAY):
            rows.outcome(pseudonym, "purchase", first + at, amount=chance.lognormvariate(3, 0.5))
    return Store(plan, rows)


def in_groups() -> Store:
    """Shops with members, neighbours, two first exposures at once, and one that moves to another arm."""
    unit = {"group": {"header": "x-shop"}, "members": {"header": "x-user-id"}}
    decision = {
        **judged_by("spent"),
        "secondary": [{"metric": "conversion"}, {"metric": "slowest"}, {"metric": "basket"}],
    }
    keys = {"neighbours": {"header": "x-near"}, "strata": ["x-device"]}
    one = {**experiment(ARMS, decision=decision, **keys), "unit": unit}
    plan = plan_of({"rank-v2": one}, metrics={**KINDS, "spent": {**KINDS["revenue"], "cap": 90}})
    rows, chance = rows_of(plan), random.Random(6)
    for shop in range(80):
        own = chance.gauss(3, 0.3)
        for member in range(6):
            number, first = shop * 6 + member, member // 3 * DAY + shop
            near = [2**63 + other for other in ((shop + 1) % 70, (shop + 2) % 70, 999, shop)]
            named = near if member < 3 and shop < 70 else None
            columns: dict[str, Any] = {"Neighbours": named, "Strata": [("x-device", "ab"[member % 2])]}
            rows.expose(number, arm_of(shop), first, Group=2**63 + shop, TraceId=f"{member}", **columns)
            for _ in range(2):
                amount = chance.lognormvariate(own, 0.4)
                rows.outcome(number, "purchase", first + chance.uniform(-DAY, DAY), amount=amount)
                rows.outcome(number, "visit", first + chance.uniform(-DAY, DAY))
    rows.expose(0, "v2", 0, Group=2**63 + 1, TraceId="0", SpanId="0")
    rows.expose(7, "v1", 5 * DAY, Group=2**63 + 1)
    return Store(plan, rows)


def in_windows() -> Store:
    """Cities in windows of half an hour."""
    unit = {"switchback": {"key": {"header": "x-city"}, "window": "30m"}}
    metrics = {name: {**KINDS[name], "window": "20m"} for name in ("conversion", "limited", "p90")}
    decision = {
        **judged_by("limited", planned_units=200, minimum_duration="1d", lateness="0s"),
        "secondary": [{"metric": "conversion"}, {"metric": "p90"}],
    }
    plan = plan_of({"rank-v2": {**experiment(ARMS, decision=decision), "unit": unit}}, metrics=metrics)
    rows, chance = rows_of(plan), random.Random(7)
    for window in range(60):
        for city in range(6):
            arm, first = ("v1", "v2")[(window + city) % 2], window * 1800 + city * 3
            for second in (0, 40, 1799):
                rows.expose(city, arm, first + second, Window=window)
            rows.request(city, arm, first, Duration=chance.randrange(10**7, 10**9), Window=window)
            for _ in range(3):
                rows.outcome(city, "purchase", first + chance.uniform(-60, 1700), amount=chance.gauss(20, 4))
    return Store(plan, rows)


def of_odd_names() -> Store:
    """A unit's kind has what quotes and escapes are made of."""
    kind = {"query": "a\\'b$q0$||1;--\\"}
    one = experiment(ARMS, decision=judged_by("spent"), unit=kind)
    plan = plan_of({"rank-v2": one}, metrics={"spent": KINDS["limited"]})
    rows, chance = rows_of(plan), random.Random(8)
    for unit in range(400):
        rows.expose(unit, arm_of(unit), unit * 60)
        rows.outcome(unit, "purchase", unit * 60 + 900, amount=chance.gauss(20, 4))
    return Store(plan, rows)


def nobody() -> Store:
    plan = every_kind()
    rows = rows_of(plan)
    rows.outcome(1, "visit", 0)
    return Store(plan, rows)


def of_sound() -> Store:
    plan = every_kind()
    return Store(plan, sound(plan))


def of_amiss() -> Store:
    plan = every_kind()
    return Store(plan, amiss(plan))


def unfinished() -> Store:
    """A short trial in the text of another plan, while it goes on."""
    plan = load(RANK.replace("method: fixed", "method: sequential"), "plan.yaml")
    rows, chance = rows_of(plan), random.Random(9)
    for unit in range(600):
        rows.expose(unit, arm_of(unit), unit / 10)
        if chance.random() < 0.4:
            rows.outcome(unit, "purchase", unit / 10 + 3, amount=chance.gauss(20, 4))
    return Store(plan, rows, day=50 / DAY)


STORES: Final[Mapping[str, Callable[[], Store]]] = {
    made.__name__: made
    for made in (
        of_sound,
        of_amiss,
        at_looks,
        withheld,
        at_any_time,
        unfinished,
        ramped,
        in_cohorts,
        in_layer,
        in_groups,
        in_windows,
        of_odd_names,
        nobody,
    )
}
"""By name."""
