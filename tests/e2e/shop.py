"""A plan of seven trials, and what users do in each arm: a shop whose truth is known."""

from collections.abc import Mapping

from e2e.crowd import Acts, Request, chance
from e2e.trial import arm_of
from plan_values import ARMS, on, plan_text

WINDOW, LATENESS, MINIMUM_DURATION = 6, 2, 6
"""Seconds: patient enough for a busy machine, where a user's requests may take long."""
SHOPPERS = [f"person-{number}" for number in range(1200)]
"""By a name with which chance is kind: of others' intervals of 95% one in twenty misses, as it should."""
READERS = [f"reader-{number}" for number in range(400)]


def metrics(window: str = f"{WINDOW}s", before: str = "1d") -> dict[str, object]:
    """By id, all with one window; `spend` has a covariate from so long before."""
    return {
        "conversion": {"kind": "proportion", "outcome": "purchase", "window": window},
        "signup": {"kind": "proportion", "outcome": "signup", "window": window},
        "visit": {"kind": "proportion", "outcome": "visit", "window": window},
        "spend": {
            "kind": "mean",
            "outcome": "spend",
            "value": "amount",
            "window": window,
            "covariate": before,
        },
        "ctr": {"kind": "ratio", "numerator": "click", "denominator": "impression", "window": window},
        "error_rate": {"kind": "ratio", "request": "error", "window": window},
        "latency": {"kind": "quantile", "q": 0.5, "request": "duration_ms", "window": window},
    }


def decision(method: str, units: int, primary: str, **keys: object) -> dict[str, object]:
    """The rule of a trial of seconds."""
    return {
        "method": method,
        "alpha": 0.05,
        "power": 0.8,
        "planned_units": units,
        "minimum_duration": f"{MINIMUM_DURATION}s",
        "lateness": f"{LATENESS}s",
        "primary": [{"metric": primary, "direction": "up", "minimum_effect": "8pp"}],
        **keys,
    }


GUARDRAILS = [
    {"metric": "error_rate", "direction": "down", "margin": "4pp"},
    {"metric": "latency", "direction": "down", "margin": 250},
]
_ALL = len(SHOPPERS)
SHOP: Mapping[str, Mapping[str, object]] = {
    "better": decision("fixed", _ALL, "conversion", guardrails=GUARDRAILS, secondary=["spend", "ctr"]),
    "same": decision(
        "fixed", _ALL, "conversion", guardrails=GUARDRAILS, secondary=["spend", "ctr", "signup"]
    ),
    "calm": decision("sequential", _ALL, "conversion"),
    "anytime": decision("sequential", _ALL, "visit"),
    "looks": decision("group_sequential", _ALL, "signup", looks=4, minimum_duration="1s"),
    "leaky": decision("fixed", _ALL, "conversion"),
}
"""Trials of all shoppers: `better`, `anytime` and `looks` move their own primary, the others nothing."""


def arms(name: str, *, clusters: bool) -> dict[str, dict[str, object]]:
    """Each with a header that tells the model the arm."""
    return {
        arm: {
            "weight": 50,
            "headers": {f"x-{name}": arm},
            **({"cluster": f"model-{arm}"} if clusters else {}),
        }
        for arm in ARMS
    }


_TOLD = {"outcomes": {"response_header": True}}
_HARM = decision("fixed", len(READERS), "conversion", guardrails=GUARDRAILS)
PLAN = plan_text(
    {
        **{
            name: on("/shop", arms=arms(name, clusters=name == "better"), decision=rule, **_TOLD)
            for name, rule in SHOP.items()
        },
        "harm": on("/read", arms=arms("harm", clusters=True), decision=_HARM, **_TOLD),
    },
    metrics=metrics(),
)


def arms_of_shopper(user: str) -> dict[str, str]:
    """By experiment."""
    return {name: arm_of(user, name) for name in SHOP}


def shopping(user: str, met: Mapping[str, str], *, reverse: bool = False) -> Acts:
    """What a shopper does in given arms; in reverse, all that is better is worse."""

    def does(what: str, experiment: str, control: float, treatment: float) -> list[str]:
        is_treated = (met[experiment] == "v2") is not reverse
        return [what] if chance(user, what) < (treatment if is_treated else control) else []

    requests = []
    for number in range(int(3 * chance(user, "requests"))):
        clicks = ["click"] if chance(user, f"click {number}") < 0.3 else []
        fails = chance(user, f"error {number}") < 0.02
        requests.append(Request(503) if fails else Request(200, ("impression", *clicks)))
    once = [
        *does("purchase", "better", 0.20, 0.35),
        *does("visit", "anytime", 0.30, 0.55),
        *does("signup", "looks", 0.15, 0.40),
    ]
    requests.append(Request(200, ("impression", *once)))
    habit = round(40 * chance(user, "habit"), 2)
    spent = round(0.8 * habit + 20 * chance(user, "spend"), 2)
    return Acts(user, met, tuple(requests), spent, habit)


def reading(user: str, arm: str) -> Acts:
    """One request, which the treatment answers with an error much more often."""
    fails = chance(user, "error") < (0.15 if arm == "v2" else 0.01)
    bought = ("purchase",) if chance(user, "purchase") < 0.3 else ()
    return Acts(user, {"harm": arm}, (Request(503) if fails else Request(200, bought),))
