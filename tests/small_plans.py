"""Small plans of every feature of assignment, as Hypothesis draws them, and requests of the same words.

Words are few, so that requests often match and experiments often meet.
"""

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from meshtrial.assign.baggage import Carried
from meshtrial.assign.context import Context, Kept
from meshtrial.assign.request import Request
from meshtrial.errors import PlanError
from meshtrial.plan.load import load
from meshtrial.plan.model import Experiment, Plan
from plan_values import experiment

Document = dict[str, Any]

CLAIM = {"metadata": {"namespace": "verified", "path": ["payload", "sub"]}}
SOURCES: tuple[Document, ...] = ({"header": "x-user"}, {"cookie": "sid"}, {"query": "u"}, CLAIM)
LAYER_UNITS: tuple[Document, ...] = (
    *SOURCES,
    {"request": True},
    {"cookie": "sid", "mint": {"max_age": "1d"}},
    {"group": {"header": "x-shop"}, "members": {"header": "x-user"}},
)
SWITCHBACK = {"switchback": {"key": {"header": "x-user"}, "window": "30m", "offset": "7m", "washout": "10m"}}
HASHES = ("md5", "xxh64", "murmur2")
WORDS = ("", "a", "b", "3", "2.1.0")

_tests: st.SearchStrategy[Document] = st.sampled_from(
    [
        {"in": ["a", "b"]}, {"in": ["b", "3"]}, {"not_in": ["a"]}, {"exists": True}, {"exists": False},
        {"prefix": "a"}, {"regex": "[ab]|[0-9.]+"}, {"semver": ">=2.0.0"}, {"less_than": 4},
        {"greater_than": 2},
    ]
)  # fmt: skip
_sources = st.sampled_from([*SOURCES, {"header": "x-word"}, {"header": "x-kind"}])
_values = st.tuples(_sources, _tests).map(lambda pair: {**pair[0], **pair[1]})
_percentages = st.sampled_from(["10%", "50%", "99.99%"]).map(lambda share: {"percentage": share})
_conditions = st.recursive(
    _values | _percentages, lambda inner: st.lists(inner, min_size=1, max_size=2).map(lambda a: {"any": a})
)
_audiences = st.lists(_conditions, min_size=1, max_size=2)
_matches = st.fixed_dictionaries(
    {},
    optional={
        "route": st.sampled_from(["r1", "r2"]),
        "host": st.sampled_from(["h1", "h2"]),
        "path_prefix": st.sampled_from(["/", "/p", "/p/q", "/z"]),
        "method": st.sampled_from(["GET", "POST"]),
        "headers": st.sampled_from([{"x-kind": "a"}, {"x-kind": "b"}]),
    },
).filter(bool)


def _shares(draw: st.DrawFn, count: int) -> list[int]:
    cuts = sorted(draw(st.lists(st.integers(0, 100), min_size=count - 1, max_size=count - 1)))
    return [end - start for start, end in zip([0, *cuts], [*cuts, 100], strict=True)]


@st.composite
def experiments(draw: st.DrawFn, name: str, cohorts: tuple[str, ...], layered: bool) -> Document:
    """One experiment; what its arms do is theirs alone, except that control is everybody's."""
    ids = ["a", "b", "c"][: draw(st.integers(2, 3))]
    weights = {"default": _shares(draw, len(ids))}
    for cohort in cohorts:
        if draw(st.booleans()):
            weights[cohort] = _shares(draw, len(ids))
    leads = draw(st.booleans())
    arms: Document = {}
    for place, arm in enumerate(ids):
        arms[arm] = {"weight": {cohort: shares[place] for cohort, shares in weights.items()}}
        arms[arm] |= {"cluster": "stable" if arm == "a" else f"{name}-{arm}"} if leads else {}
        arms[arm] |= {"headers": {f"x-of-{name}": arm}} if draw(st.booleans()) else {}
    made: Document = experiment(arms, buckets=100, hash=draw(st.sampled_from(HASHES)), salt=f"{name}'s")
    optional = {
        "match": _matches,
        "audience": _audiences,
        "ramp": st.sampled_from(["0%", "10%", "37.5%"]),
        "strata": st.just(["x-word"]),
        "carry": st.just(True),
        "sticky": st.just(True),
        "paused": st.sampled_from([False, False, True]),
        "killed": st.sampled_from([False, False, True]),
    }
    made |= draw(st.fixed_dictionaries({}, optional=optional))
    if layered:
        del made["unit"]
        return made
    made["unit"] = draw(st.sampled_from([*LAYER_UNITS, SWITCHBACK]))
    if "switchback" in made["unit"] or "request" in made["unit"]:
        made.pop("sticky", None)
    if "request" in made["unit"]:
        made.pop("carry", None)
    return made


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """A valid document: what cannot stand beside the experiments before it is left out."""
    cohorts = {name: draw(_audiences) for name in ("near", "far")[: draw(st.integers(0, 2))]}
    layer: Document = {"unit": draw(st.sampled_from(LAYER_UNITS)), "buckets": 100}
    layer["hash"] = draw(st.sampled_from(HASHES))
    if draw(st.booleans()):
        layer["holdout"] = f"{draw(st.integers(1, 30))}%"
    cuts = sorted(draw(st.sets(st.integers(35, 99), max_size=2)))
    document: Document = {"apiVersion": "meshtrial/v1", "layers": {"shared": layer}, "experiments": {}}
    document["metrics"] = {"conversion": {"kind": "proportion", "outcome": "purchase", "window": "7d"}}
    if cohorts:
        document["cohorts"] = cohorts
    found: list[tuple[str, Document]] = []
    for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, 100], strict=True)):
        body = draw(experiments(f"in-{number}", tuple(cohorts), layered=True))
        if "request" in layer["unit"]:
            body.pop("sticky", None)
            body.pop("carry", None)
        found.append((f"in-{number}", {**body, "layer": "shared", "slice": [f"{start}%", f"{end}%"]}))
    names = [f"alone-{number}" for number in range(draw(st.integers(0, 3)))]
    found += [(name, draw(experiments(name, tuple(cohorts), layered=False))) for name in names]
    whole = {**document, "experiments": dict(found)}
    if _valid(whole):
        return whole
    for name, body in found:
        more = {**document, "experiments": {**document["experiments"], name: body}}
        if _valid(more):
            document = more
    return document if document["experiments"] else {**document, "experiments": {"only": experiment()}}


def _valid(document: Document) -> bool:
    try:
        loaded(document)
    except PlanError:
        return False
    return True


def loaded(document: Document) -> Plan:
    """The plan of a document."""
    return load(json.dumps(document), "plan.yaml")


_texts = st.sampled_from(WORDS).map(str.encode) | st.binary(max_size=12) | st.just(b"x" * 1025)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["payload", "sub"]), inner),
    max_leaves=6,
)


_words = st.sampled_from([b"a", b"b", b"3", b"2.1.0"])
_likely = {
    "x-user": _words,
    "x-shop": _words,
    "x-word": _words,
    "x-kind": st.sampled_from([b"a", b"b"]),
    "x-request-id": _words,
    "cookie": _words.map(lambda word: b"a=1; sid=" + word),
    ":authority": st.sampled_from([b"h1", b"H2:80", b"h1:"]),
    ":method": st.sampled_from([b"GET", b"POST"]),
}
_paths = st.sampled_from([b"/", b"/p", b"/p/q", b"/z", b"", b"/p?u=", b"/z?u=%61&u="])


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Any bytes anywhere, most of the time what plans look for."""
    odd = draw(st.sets(st.sampled_from([*_likely, "path", "metadata"]), max_size=3))
    headers = {
        name: draw(st.lists(_texts | value, max_size=3)) if name in odd else [draw(value)]
        for name, value in _likely.items()
    }
    path = draw(_paths) + draw(_texts if "path" in odd else _words)
    payload = draw(_json) if "metadata" in odd else {"sub": draw(_words).decode()}
    route = draw(st.sampled_from(["", "r1", "r2"]))
    return Request(path.decode("latin-1"), route, headers, {"verified": {"payload": payload}})


def pseudonym(kind: str, unit: bytes) -> str:
    """A stand-in: no key is needed to tell units apart."""
    return f"{kind} {unit.hex()}"


@st.composite
def contexts(draw: st.DrawFn, plan: Plan) -> Context:
    """Anything that may be known besides a request."""
    ids = [found.id for found in plan.experiments] + ["gone"]
    arms = st.sampled_from(["a", "b", "c", "gone"])
    kinds = sorted({found.unit.kind for found in plan.experiments})
    bound = st.sampled_from(kinds).flatmap(
        lambda kind: st.builds(
            lambda arm, unit: Carried(arm, pseudonym(kind, unit), kind, "p" * 16, 1), arms, _words
        )
    )
    kept_arm = draw(arms)
    keeping = draw(st.booleans())

    def kept(_experiment: Experiment, _unit: bytes) -> Kept | None:
        return Kept(kept_arm, "k" * 16) if keeping else None

    forced: Mapping[str, str] = draw(st.dictionaries(st.sampled_from(ids), arms, max_size=2))
    return Context(
        now=draw(st.integers(-(2**63), 2**63) | st.integers(0, 7200).map(lambda s: s * 10**9)),
        chance=draw(st.binary(min_size=16, max_size=16)),
        forced=forced,
        carried=draw(st.dictionaries(st.sampled_from(ids), bound, max_size=2)),
        pseudonym=pseudonym,
        kept=kept,
    )
