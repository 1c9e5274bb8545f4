"""Hypothesis strategies of valid plan documents, and how a document is written out."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from meshtrial.plan.load import load
from meshtrial.plan.model import Plan

Document = dict[str, Any]
"""Mappings, lists, text, booleans, whole numbers, and Decimals where a fraction may stand."""

names = st.from_regex(r"[a-z][a-z0-9_.-]{0,12}", fullmatch=True)
_printable = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp", "Cn", "Cf"]), max_size=20)
_visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20)
_token = r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,10}"
_durations = st.tuples(st.integers(1, 520), st.sampled_from("smhdw")).map(lambda t: f"{t[0]}{t[1]}")
_BUCKETS = (2, 5, 10, 100, 1000, 4096, 10_000, 1_000_000)
_NAMESPACES = ("envoy.filters.http.jwt_authn", "own")
_MINTED = {"mt-a": "400d", "mt-b": "30d"}
"""Cookies that are minted and the one age that each has."""


def written(document: object) -> str:
    """The document as JSON, which is YAML, with every number in plain decimals."""
    match document:
        case Mapping():
            pairs = (f"{json.dumps(key)}: {written(value)}" for key, value in document.items())
            return f"{{{', '.join(pairs)}}}"
        case list():
            return f"[{', '.join(map(written, document))}]"
        case Decimal():
            return f"{document:f}"
        case str():
            return json.dumps(document, ensure_ascii=False)
        case _:
            return json.dumps(document)


def between(low: str, high: str, places: int) -> st.SearchStrategy[Decimal]:
    """Decimals of so many places, the bounds excluded."""
    step = Decimal(1).scaleb(-places)
    return st.decimals(Decimal(low) + step, Decimal(high) - step, places=places)


@st.composite
def metrics(draw: st.DrawFn) -> Document:
    """A metric of any kind, of outcomes or of requests, with anything that may stand in one."""
    found = draw(st.sampled_from(_KINDS).flatmap(st.fixed_dictionaries))
    window = st.tuples(st.integers(0, 999), st.integers(1, 999)).map(
        lambda span: {"start": f"{span[0]}s" if span[0] else 0, "end": f"{sum(span)}s"}
    )
    found["window"] = draw(_durations | window)
    if found["kind"] in {"mean", "count"} and draw(st.booleans()):
        share = st.integers(501, 999).map(lambda tenths: percent(tenths, 1000))
        found["cap"] = draw(share | between("0", "100000", 3))
    adjustable = ["covariate"] * (found["kind"] != "quantile")
    adjustable += ["covariates"] * (found["kind"] not in {"quantile", "ratio"})
    match draw(st.sampled_from([None, *adjustable])):
        case "covariate":
            found["covariate"] = draw(_durations)
        case "covariates":
            events = draw(st.lists(_events, min_size=1, max_size=3, unique_by=lambda one: one["outcome"]))
            found["covariates"] = [{**one, "before": draw(_durations)} for one in events]
    return found


_events = st.fixed_dictionaries({"outcome": names}, optional={"value": names})
_KINDS: list[dict[str, st.SearchStrategy[Any]]] = [
    {"kind": st.just("proportion"), "outcome": names},
    {"kind": st.just("proportion"), "request": st.sampled_from(["error", "grpc_error"])},
    {"kind": st.just("mean"), "outcome": names, "value": names},
    {"kind": st.just("count"), "outcome": names},
    {"kind": st.just("ratio"), "numerator": names | _events, "denominator": names | _events},
    {"kind": st.just("ratio"), "request": st.sampled_from(["error", "grpc_error", "duration_ms"])},
    {"kind": st.just("quantile"), "outcome": names, "value": names, "q": between("0", "1", 12)},
    {"kind": st.just("quantile"), "request": st.just("duration_ms"), "q": between("0", "1", 2)},
]


def percent(width: int, buckets: int) -> str:
    """Some buckets of all, as a percentage."""
    return f"{(Decimal(width) * 100 / buckets).normalize():f}%"


def read_headers() -> st.SearchStrategy[str]:
    """Names of headers that a plan reads; no arm sets one of them."""
    return st.sampled_from(["x-r-a", "X-R-B", "x-r-c", "cookie"])


@st.composite
def sources(draw: st.DrawFn) -> Document:
    """Where a value stands in a request."""
    carrier = draw(st.sampled_from(["header", "cookie", "query", "metadata"]))
    if carrier == "header":
        return {carrier: draw(read_headers())}
    if carrier == "metadata":
        path = draw(st.lists(st.from_regex(r"[!-\-/-~]{1,8}", fullmatch=True), min_size=1, max_size=3))
        return {carrier: {"namespace": draw(st.sampled_from(_NAMESPACES)), "path": path}}
    return {carrier: draw(st.from_regex(_token, fullmatch=True))}


@st.composite
def tests_of_values(draw: st.DrawFn) -> Document:
    """A condition on a value."""
    operands: dict[str, st.SearchStrategy[Any]] = {
        "in": st.lists(_printable, min_size=1, max_size=4),
        "not_in": st.lists(_printable, min_size=1, max_size=4),
        "exists": st.booleans(),
        "prefix": _printable.filter(bool),
        "regex": st.sampled_from([r"a+\.b", "[^@]+@(x|y)", "", r"\pL{1,3}"]),
        "semver": st.sampled_from([">=1.2.0", ">=1.2.0  <2.0.0-rc.1", "!=1.0.0", "1.0.0"]),
        "less_than": between("-1000", "1000", 3),
        "greater_than": st.integers(-10, 10),
    }
    operator = draw(st.sampled_from([*operands]))
    return {**draw(sources()), operator: draw(operands[operator])}


def audiences(cohorts: Sequence[str] = (), depth: int = 2) -> st.SearchStrategy[list[Document]]:
    """Conditions of every kind, some of which name these cohorts."""
    conditions = [
        tests_of_values(),
        st.integers(1, 9999).map(lambda hundredths: {"percentage": percent(hundredths, 10_000)}),
    ]
    if depth:
        conditions.append(audiences(cohorts, depth - 1).map(lambda inner: {"any": inner}))
    if cohorts:
        conditions.append(st.sampled_from(cohorts).map(lambda cohort: {"cohort": cohort}))
    return st.lists(st.one_of(conditions), min_size=1, max_size=3)


@st.composite
def units(draw: st.DrawFn, *, switchbacks: bool = True) -> Document:
    """A unit of any kind."""
    kind = draw(st.sampled_from(["plain", "request", "mint", "group", *(["switchback"] * switchbacks)]))
    if kind == "request":
        return {"request": True}
    if kind == "mint":
        cookie = draw(st.sampled_from([*_MINTED]))
        return {"cookie": cookie, "mint": {"max_age": _MINTED[cookie]}}
    plain = draw(st.just({"header": f"x-unit-{draw(st.integers(0, 2))}"}) | sources())
    if kind == "group":
        members = {"request": True} if draw(st.booleans()) else {"header": "x-member"}
        return {"group": plain, "members": members}
    if kind == "switchback":
        window = draw(st.integers(2, 520))
        found: Document = {"key": plain, "window": f"{window}m"}
        for key in draw(st.sets(st.sampled_from(["offset", "washout", "carryover"]))):
            seconds = draw(st.integers(0, window * 60 - 1))
            found[key] = f"{seconds}s" if seconds else draw(st.sampled_from([0, "0s"]))
        return {"switchback": found}
    return plain


@st.composite
def matches(draw: st.DrawFn) -> Document:
    """Conditions on requests besides the path."""
    whole: dict[str, st.SearchStrategy[Any]] = {
        "route": _printable.filter(bool),
        "host": st.sampled_from(["example.com", "Shop.Example.com", "[::1]"]),
        "method": st.sampled_from(["GET", "POST"]),
        "headers": st.fixed_dictionaries({}, optional=dict.fromkeys(("x-r-a", "X-R-B"), _visible)).filter(
            bool
        ),
    }
    return {key: draw(whole[key]) for key in draw(st.sets(st.sampled_from([*whole])))}


@st.composite
def bucketings(draw: st.DrawFn, number: int, *, bare: bool = False) -> Document:
    """Hash, buckets and a salt that differs from every other of a document by its number."""
    found: Document = {"buckets": draw(st.sampled_from(_BUCKETS))}
    if draw(st.booleans()):
        found["hash"] = draw(st.sampled_from(["md5", "xxh64", "murmur2"]))
    if found["buckets"] == 10_000 and draw(st.booleans()):
        del found["buckets"]
    if draw(st.booleans()):
        # The number keeps salts apart, and the colon keeps them apart from ids.
        found["salt"] = "" if bare and draw(st.booleans()) else f"{draw(_printable)}:{number}"
    return found


def _widths(draw: st.DrawFn, arms: int, buckets: int) -> list[int]:
    cuts = sorted(draw(st.lists(st.integers(0, buckets), min_size=arms - 1, max_size=arms - 1)))
    return [end - start for start, end in zip([0, *cuts], [*cuts, buckets], strict=True)]


@st.composite
def arms(draw: st.DrawFn, buckets: int, number: int, cohorts: Sequence[str], *, choosing: bool) -> Document:
    """Two to five arms whose weights fall on whole buckets and sum to 100, for each cohort too."""
    ids = draw(st.lists(names, min_size=2, max_size=5, unique=True))
    made: Document = {arm_id: {} for arm_id in ids}
    weighed: set[str] = draw(st.sets(st.sampled_from(cohorts))) if cohorts else set()
    shares = {
        cohort: [Decimal(width) * 100 / buckets for width in _widths(draw, len(ids), buckets)]
        for cohort in ("default", *sorted(weighed))
    }
    for place, arm_id in enumerate(ids):
        weights = {cohort: of_arms[place] for cohort, of_arms in shares.items()}
        made[arm_id]["weight"] = weights if bool(weighed) or draw(st.booleans()) else weights["default"]
        if choosing:
            made[arm_id]["cluster"] = draw(_visible)
        own = st.from_regex(rf"[xX]-s{number}-{_token}", fullmatch=True)
        headers = draw(st.dictionaries(own, _visible, max_size=3))
        if headers and len({name.lower() for name in headers}) == len(headers):
            made[arm_id]["headers"] = headers
    return made


def effects(kind: str) -> st.SearchStrategy[str | Decimal]:
    """Effects and margins of a metric of this kind."""
    points = between("0", "100", 3).map(lambda points: f"{points:f}pp")
    relative = between("0", "500", 4).map(lambda share: f"{share:f}% relative")
    plain = between("0", "1000000", 6)
    match kind:
        case "proportion":
            return relative | points
        case "ratio":
            return relative | points | plain
    return relative | plain


@st.composite
def decisions(draw: st.DrawFn, measured: Document, *, once: bool) -> Document:
    """A rule of any method, or where it is judged once only, `fixed`."""
    named = draw(st.lists(st.sampled_from(sorted(measured)), min_size=1, max_size=3, unique=True))
    place = draw(st.integers(1, len(named)))
    sides = st.sampled_from(["up", "down"])

    def entry(metric: str, key: str) -> Document:
        return {"metric": metric, "direction": draw(sides), key: draw(effects(measured[metric]["kind"]))}

    methods = ["fixed"] if once else ["fixed", "sequential", "group_sequential"]
    found: Document = {
        "method": draw(st.sampled_from(methods)),
        "alpha": draw(between("0", "0.5", 12) | between("0", "0.5", 2)),
        "power": draw(between("0", "1", 12) | between("0", "1", 1)),
        "planned_units": draw(st.integers(2, 10**12)),
        "minimum_duration": draw(_durations),
        "primary": [entry(metric, "minimum_effect") for metric in named[:place]],
    }
    if draw(st.booleans()):
        found["lateness"] = draw(st.one_of(_durations, st.sampled_from(["0s", 0])))
    gatekeeping: bool | None = draw(st.sampled_from([None, False, True]))
    if gatekeeping is not None:
        found["gatekeeping"] = gatekeeping
    rest = named[place:]
    if draw(st.booleans()) and rest:
        found["guardrails"] = [entry(metric, "margin") for metric in rest]
    elif rest:
        directed = [{"metric": metric, "direction": draw(sides)} for metric in rest]
        found["secondary"] = draw(st.sampled_from([rest, directed]))
    if found["method"] == "group_sequential":
        found |= draw(sequences())
    return found


@st.composite
def sequences(draw: st.DrawFn) -> Document:
    """Looks, and how error rates are shared out over them."""
    cuts = st.sets(st.integers(1, 999), min_size=1, max_size=5).map(
        lambda tenths: [percent(tenth, 1000) for tenth in [*sorted(tenths), 1000]]
    )
    found: Document = {
        "looks": draw(st.integers(2, 50) | cuts | _durations.map(lambda every: {"every": every}))
    }
    words = st.sampled_from(["obrien_fleming", "pocock"])
    spending = words | between("-40", "40", 3).map(lambda curve: {"hwang_shih_decani": curve})
    exact = words | between("0", "0.5", 3).map(lambda curve: {"wang_tsiatis": curve})
    keys = ["spending"] + ["boundary"] * (not isinstance(found["looks"], dict))
    match draw(st.sampled_from([None, *keys])):
        case "spending":
            found["spending"] = draw(spending)
        case "boundary":
            found["boundary"] = draw(exact)
    return found | draw(st.fixed_dictionaries({}, optional={"futility": spending}))


@st.composite
def layers(draw: st.DrawFn) -> Document:
    """Layers with units, holdouts and salts of their own."""
    found: Document = {}
    for number, layer in enumerate(draw(st.lists(names, max_size=2, unique=True))):
        found[layer] = {"unit": draw(units(switchbacks=False)), **draw(bucketings(number))}
        found[layer].setdefault("salt", f":{number}")
        if draw(st.booleans()):
            buckets = found[layer].get("buckets", 10_000)
            found[layer]["holdout"] = percent(draw(st.integers(0, buckets - 1)), buckets)
    return found


@st.composite
def experiments(
    draw: st.DrawFn, number: int, measured: Document, cohorts: Sequence[str], *, layer: bool
) -> Document:
    """An experiment on a path of its own, or one that sets headers of its own, on any."""
    bucketing = draw(bucketings(number + 10, bare=number == 0))
    choosing = draw(st.booleans())
    split = draw(arms(bucketing.get("buckets", 10_000), number, cohorts, choosing=choosing))
    found: Document = {
        "arms": split,
        "control": draw(st.sampled_from(sorted(split))),
        **bucketing,
    }
    match = draw(matches())
    if choosing or draw(st.booleans()):
        match["path_prefix"] = f"/{number}/{draw(st.sampled_from(['', 'a', 'a/b']))}"
    if match:
        found["match"] = match
    if not layer:
        found["unit"] = draw(units())
        again = not found["unit"].keys() & {"request", "switchback"}
        travels = {"request": True} not in (found["unit"], found["unit"].get("members"))
    else:
        again = travels = False
    found["decision"] = draw(decisions(measured, once="switchback" in found.get("unit", {})))
    if "group" in found.get("unit", {}) and draw(st.booleans()):
        found["neighbours"] = {"header": "X-Neighbours"}
    optional: dict[str, st.SearchStrategy[Any]] = {
        "audience": audiences(cohorts),
        "strata": st.lists(
            st.sampled_from(["x-s-a", "X-S-B", "x-s-c", "x-s-d"]), min_size=1, max_size=3, unique=True
        ),
        "ramp": st.integers(0, 1000).map(lambda tenths: percent(tenths, 1000)),
        "paused": st.booleans(),
        "killed": st.booleans(),
        "carry": st.booleans() if travels else st.just(value=False),
        "sticky": st.booleans() if again else st.just(value=False),
        "exposures": st.sampled_from(["first", "all"]),
        "outcomes": st.booleans().map(lambda told: {"response_header": told}),
    }
    return found | {key: draw(optional[key]) for key in sorted(draw(st.sets(st.sampled_from([*optional]))))}


@st.composite
def plan_documents(draw: st.DrawFn, max_experiments: int = 3) -> Document:
    """A valid plan document of up to `max_experiments` experiments, with anything that may stand in one."""
    measured = draw(st.dictionaries(names, metrics(), min_size=1, max_size=3))
    cohorts = draw(st.dictionaries(names.filter(lambda name: name != "default"), audiences(), max_size=3))
    shared = draw(layers())
    left = {layer: _slices(draw, found) for layer, found in shared.items()}
    made: Document = {}
    for number, experiment in enumerate(
        draw(st.lists(names, min_size=1, max_size=max_experiments, unique=True))
    ):
        layer = draw(st.sampled_from([None, *(layer for layer, slices in left.items() if slices)]))
        made[experiment] = draw(experiments(number, measured, [*cohorts], layer=layer is not None))
        if layer is not None:
            made[experiment] |= {"layer": layer, "slice": left[layer].pop()}
    document: Document = {"apiVersion": "meshtrial/v1", "metrics": measured, "experiments": made}
    if cohorts:
        document["cohorts"] = cohorts
    if shared:
        document["layers"] = shared
    return document


def _slices(draw: st.DrawFn, layer: Document) -> list[list[str]]:
    """Slices of a layer that do not overlap; the first one may reach into the holdout."""
    buckets = layer.get("buckets", 10_000)
    held = int(Decimal(layer.get("holdout", "0%")[:-1]) * buckets / 100)
    edges = sorted(draw(st.sets(st.integers(held + 1, buckets), min_size=1, max_size=3)))
    starts = [draw(st.sampled_from([0, held])), *edges]
    return [
        [percent(start, buckets), percent(end, buckets)] for start, end in zip(starts, edges, strict=False)
    ]


def loaded(document: Document) -> Plan:
    """The plan of a document."""
    return load(written(document), "plan.yaml")


def plans(max_experiments: int = 3) -> st.SearchStrategy[Plan]:
    """Valid plans."""
    return plan_documents(max_experiments).map(loaded)
