"""The plans of assignments.json."""

from typing import Any

Json = dict[str, Any]

DECISION = {
    "method": "fixed",
    "alpha": 0.05,
    "power": 0.8,
    "planned_units": 8876,
    "minimum_duration": "14d",
    "primary": [{"metric": "conversion", "direction": "up", "minimum_effect": "2pp"}],
}
METRICS = {"conversion": {"kind": "proportion", "outcome": "purchase", "window": "7d"}}
USER = {"header": "x-user-id"}
CLAIM = {"metadata": {"namespace": "envoy.filters.http.jwt_authn", "path": ["payload", "sub"]}}
SHOP = {"group": {"header": "x-shop"}, "members": USER}
SWITCHBACK = {"switchback": {"key": {"header": "x-city"}, "window": "30m", "offset": "10m", "washout": "5m"}}


def plan(experiments: Json, **sections: Any) -> Json:
    return {"apiVersion": "meshtrial/v1", "metrics": METRICS, "experiments": experiments, **sections}


def experiment(weights: Json, **keys: Any) -> Json:
    """The last arm is control; arm `a` is served by cluster `model-a`."""
    arms: Json = {arm: {"weight": weight, "cluster": f"model-{arm}"} for arm, weight in weights.items()}
    made = {"control": [*arms][-1], "arms": arms, "decision": DECISION}
    return {**made, **({} if "layer" in keys else {"unit": USER}), **keys}


def half(**keys: Any) -> Json:
    return experiment({"b": 50, "a": 50}, **keys)


def aside(header: str, **keys: Any) -> Json:
    """Half and half, of a header instead of a cluster: any number of these may meet in a request."""
    made = half(**keys)
    made["arms"] = {arm: {"weight": 50, "headers": {header: arm}} for arm in "ba"}
    return made


def asides(**bodies: Json) -> Json:
    """One such experiment for each name; a `_` of the name is a `-` of the id."""
    named = {name.replace("_", "-"): body for name, body in bodies.items()}
    return {name: aside(f"x-arm-{name}", **body) for name, body in named.items()}


def audience(**conditions: list[Json]) -> Json:
    return plan(asides(**{name: {"audience": listed} for name, listed in conditions.items()}))


def with_headers() -> Json:
    made = experiment({"b": 30, "c": 30, "a": 40})
    made["arms"]["b"]["headers"] = {"X-Model-Version": "2", "x-model-family": "trees"}
    made["arms"]["c"]["headers"] = {"x-model-version": "3"}
    return made


COUNTRY, VERSION, AGE = {"header": "x-country"}, {"header": "X-App-Version"}, {"query": "age"}
TIER = {"metadata": {"namespace": "meshtrial.test", "path": ["account", "tier"]}}

PLANS: Json = {
    "textbook": plan({"exp_001": half(buckets=100)}),
    "bare-unit": plan({"exp_001": experiment({"b": 20, "a": 80}, buckets=100, salt="")}),
    "defaults": plan({"rank-v2": half()}),
    "control-in-the-middle": plan(
        {"uneven": experiment({"c": 12.5, "a": 62.5, "b": 25}, control="a", buckets=1000)}
    ),
    "nobody-and-everybody": plan({"switch": experiment({"off": 0, "on": 100, "a": 0})}),
    "request": plan({"prompt": experiment({"b": 33.33, "c": 33.33, "a": 33.34}, unit={"request": True})}),
    "route": plan({"recommend": half(match={"route": "recommend"})}),
    "path": plan({"recommend": half(match={"path_prefix": "/recommend"})}),
    "path-and-route": plan({"both": half(match={"path_prefix": "/v1/", "route": "models"})}),
    "host": plan({"shop": half(match={"host": "Shop.Example.com"})}),
    "method-and-headers": plan(
        {"write": half(match={"method": "POST", "headers": {"X-Kind": "json", "x-tier": "gold plus"}})}
    ),
    "two-experiments": plan(
        {
            "search": experiment({"b": 10, "a": 90}, match={"path_prefix": "/search"}),
            "rank.v2": half(match={"path_prefix": "/rank"}, unit={"header": "x-session"}),
        }
    ),
    "unicode-salt": plan({"rank": half(salt="gr\u00f6\u00dfe 2026 \U0001f44d")}),
    "headers": plan({"rank": with_headers()}),
    "two-buckets": plan({"coin": half(buckets=2)}),
    "many-buckets": plan({"fine": experiment({"b": 25, "a": 75}, buckets=2**31)}),
    "xxh64": plan({"rank": half(hash="xxh64")}),
    "xxh64-bare-unit": plan({"rank": half(hash="xxh64", salt="", buckets=100)}),
    "xxh64-many-buckets": plan({"rank": experiment({"b": 25, "a": 75}, hash="xxh64", buckets=2**31)}),
    "murmur2": plan({"rank": experiment({"b": 33.33, "c": 33.33, "a": 33.34}, hash="murmur2")}),
    "murmur2-bare-unit": plan({"rank": half(hash="murmur2", salt="", buckets=100)}),
    "murmur2-many-buckets": plan({"rank": half(hash="murmur2", buckets=2**20)}),
    "cookie": plan({"rank": half(unit={"cookie": "sid"})}),
    "query": plan({"rank": half(unit={"query": "user"})}),
    "query-of-a-name-that-is-encoded": plan({"rank": half(unit={"query": "gr\u00f6\u00dfe"})}),
    "claim": plan({"rank": half(unit=CLAIM)}),
    "minted": plan(
        {
            "rank": half(unit={"cookie": "mt", "mint": {"max_age": "400d"}}),
            "look": aside("x-look", unit={"cookie": "mt", "mint": {"max_age": "400d"}}),
            "other": aside("x-other", unit={"cookie": "mt2", "mint": {"max_age": "1d"}}),
        }
    ),
    "group": plan({"shelf": half(unit=SHOP)}),
    "group-of-claims": plan({"shelf": half(unit={"group": CLAIM, "members": {"request": True}})}),
    "switchback": plan({"price": half(unit=SWITCHBACK)}),
    "switchback-by-query": plan(
        {"price": half(unit={"switchback": {"key": {"query": "city"}, "window": "1s"}}, hash="xxh64")}
    ),
    "texts": audience(
        within=[{**COUNTRY, "in": ["IN", "US", "", "\u00d6sterreich"]}],
        without=[{**COUNTRY, "not_in": ["IN", "US"]}],
        begins=[{**COUNTRY, "prefix": "I"}],
        looks_like=[{**COUNTRY, "regex": "[A-Z]{2}|x+"}],
        there=[{**COUNTRY, "exists": True}],
        not_there=[{**COUNTRY, "exists": False}],
        both=[{**COUNTRY, "in": ["IN", "US"]}, {"cookie": "beta", "in": ["1"]}],
    ),
    "numbers": audience(
        young=[{**AGE, "less_than": 18}],
        old=[{**AGE, "greater_than": 64.5}],
        between=[{**AGE, "greater_than": -1.5}, {**AGE, "less_than": 1000000000000}],
    ),
    "versions": audience(
        current=[{**VERSION, "semver": ">=2.1.0 <3.0.0"}],
        exact=[{**VERSION, "semver": "2.1.0-rc.1"}],
        other=[{**VERSION, "semver": "!=2.1.0"}],
        early=[{**VERSION, "semver": "<2.1.0-rc.2"}],
    ),
    "claims-asked-for": audience(
        gold=[{**TIER, "in": ["gold"]}],
        told=[{**TIER, "exists": True}],
        not_gold=[{**TIER, "not_in": ["gold"]}],
    ),
    "percentage": audience(third=[{"percentage": "33.33%"}], tenth=[{"percentage": "10%"}]),
    "percentage-of-groups": plan({"shelf": half(unit=SHOP, audience=[{"percentage": "50%"}])}),
    "percentage-of-switchbacks": plan({"price": half(unit=SWITCHBACK, audience=[{"percentage": "50%"}])}),
    "any": audience(
        either=[{"any": [{**COUNTRY, "in": ["IN"]}, {"percentage": "20%"}]}],
        nested=[
            {
                "any": [
                    {"any": [{**COUNTRY, "prefix": "A"}, {**COUNTRY, "prefix": "B"}]},
                    {**AGE, "exists": True},
                ]
            },
            {**COUNTRY, "not_in": ["AT"]},
        ],
    ),
    "cohorts": plan(
        asides(
            beta={"audience": [{"cohort": "beta"}]},
            all={"audience": [{"any": [{"cohort": "beta"}, {"cohort": "staff"}]}, {"percentage": "50%"}]},
        ),
        cohorts={"beta": [{"percentage": "50%"}], "staff": [{**TIER, "in": ["staff"]}]},
    ),
    "cohort-weights": plan(
        {
            "rank": experiment(
                {
                    "b": {"default": 50, "enterprise": 10, "small": 0},
                    "c": {"default": 20, "small": 60},
                    "a": {"default": 30, "enterprise": 70, "small": 40},
                },
                audience=[{**COUNTRY, "exists": True}],
                ramp="50%",
            )
        },
        cohorts={
            "unused": [{**COUNTRY, "exists": True}],
            "small": [{**AGE, "less_than": 10}],
            "enterprise": [{**TIER, "in": ["enterprise"]}],
        },
    ),
    "strata": plan({"rank": half(strata=["X-Country", "x-device"])}),
    "ramp": plan({"rank": experiment({"b": 30, "c": 30.5, "a": 39.5}, buckets=200, ramp="37.5%")}),
    "ramp-zero": plan({"rank": half(ramp="0%")}),
    "layers": plan(
        {
            "one": half(layer="ranking", slice=["0%", "40%"]),
            "two": half(layer="ranking", slice=["40%", "80%"], hash="murmur2"),
            "look": aside("x-look", layer="looks"),
            "font": aside("x-font", layer="fonts", slice=["12.5%", "75%"]),
        },
        layers={
            "ranking": {"unit": USER, "holdout": "10%"},
            "looks": {"unit": {"cookie": "sid"}, "hash": "xxh64", "buckets": 1000, "salt": "another salt"},
            "fonts": {"unit": USER, "hash": "murmur2", "buckets": 64, "holdout": "25%"},
        },
    ),
    "modes": plan(
        {
            "paused": aside("x-paused", paused=True),
            "killed": half(layer="ranking", slice=["0%", "50%"], killed=True, carry=True),
            "running": half(layer="ranking", slice=["50%", "100%"]),
        },
        layers={"ranking": {"unit": USER}},
    ),
    "sticky": plan(
        {"rank": half(layer="ranking", slice=["0%", "50%"], sticky=True), "look": aside("x-look")},
        layers={"ranking": {"unit": USER, "holdout": "10%"}},
    ),
    "sticky-groups": plan({"shelf": half(unit=SHOP, sticky=True)}),
    "signed": plan(
        {
            "one": half(layer="ranking", slice=["0%", "50%"], carry=True),
            "two": half(layer="ranking", slice=["50%", "100%"], carry=True),
            "look": aside("x-look", audience=[{**COUNTRY, "in": ["IN"]}]),
        },
        layers={"ranking": {"unit": USER, "holdout": "2%"}},
    ),
    "carried-group": plan({"shelf": half(unit=SHOP, carry=True)}),
    "carried-minted": plan({"rank": half(unit={"cookie": "mt", "mint": {"max_age": "1d"}}, carry=True)}),
    "carried-switchback": plan({"price": half(unit=SWITCHBACK, carry=True)}),
}
