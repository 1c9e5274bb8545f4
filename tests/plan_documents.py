"""A Hypothesis strategy of valid plan documents, and how a document is written out."""

import json
from collections.abc import Mapping
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
_header_names = st.from_regex(r"x-[A-Za-z0-9!#$%&'*+.^_`|~-]{1,10}", fullmatch=True).filter(
    lambda name: not name.lower().startswith(("x-meshtrial-", "x-envoy-", "x-unit-", "x-request-id"))
)
_durations = st.tuples(st.integers(1, 520), st.sampled_from("smhdw")).map(lambda t: f"{t[0]}{t[1]}")
_BUCKETS = (2, 5, 10, 100, 1000, 4096, 10_000, 1_000_000)


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
    window = draw(_durations)
    if draw(st.booleans()):
        return {"kind": "proportion", "outcome": draw(names), "window": window}
    return {"kind": "mean", "outcome": draw(names), "value": draw(names), "window": window}


@st.composite
def arms(draw: st.DrawFn, buckets: int) -> Document:
    """Two to five arms whose weights fall on whole buckets and sum to 100."""
    ids = draw(st.lists(names, min_size=2, max_size=5, unique=True))
    cuts = sorted(draw(st.lists(st.integers(0, buckets), min_size=len(ids) - 1, max_size=len(ids) - 1)))
    widths = [end - start for start, end in zip([0, *cuts], [*cuts, buckets], strict=True)]
    made: Document = {}
    for arm_id, width in zip(ids, widths, strict=True):
        made[arm_id] = {"weight": Decimal(width) * 100 / buckets, "cluster": draw(_visible)}
        headers = draw(st.dictionaries(_header_names, _visible, max_size=3))
        if headers and len({name.lower() for name in headers}) == len(headers):
            made[arm_id]["headers"] = headers
    return made


@st.composite
def decisions(draw: st.DrawFn, measured: Document) -> Document:
    primary = []
    for metric in draw(st.lists(st.sampled_from(sorted(measured)), min_size=1, max_size=3, unique=True)):
        absolute = (
            draw(between("0", "100", 3).map(lambda points: f"{points:f}pp"))
            if measured[metric]["kind"] == "proportion"
            else draw(between("0", "1000000", 6))
        )
        relative = draw(between("0", "500", 4).map(lambda percent: f"{percent:f}% relative"))
        effect = draw(st.sampled_from([absolute, relative]))
        direction = draw(st.sampled_from(["up", "down"]))
        primary.append({"metric": metric, "direction": direction, "minimum_effect": effect})
    return {
        "method": "fixed",
        "alpha": draw(between("0", "0.5", 12) | between("0", "0.5", 2)),
        "power": draw(between("0", "1", 12) | between("0", "1", 1)),
        "planned_units": draw(st.integers(2, 10**12)),
        "minimum_duration": draw(_durations),
        "primary": primary,
    }


@st.composite
def plan_documents(draw: st.DrawFn, max_experiments: int = 3) -> Document:
    """A valid plan document: one to `max_experiments` experiments, each on a path of its own."""
    measured = draw(st.dictionaries(names, metrics(), min_size=1, max_size=3))
    ids = draw(st.lists(names, min_size=1, max_size=max_experiments, unique=True))
    experiments: Document = {}
    for index, experiment_id in enumerate(ids):
        buckets = draw(st.sampled_from(_BUCKETS))
        split = draw(arms(buckets))
        unit = draw(st.sampled_from([{"request": True}, {"header": f"x-unit-{index}"}]))
        experiment: Document = {
            "unit": unit,
            "arms": split,
            "control": draw(st.sampled_from(sorted(split))),
            "decision": draw(decisions(measured)),
            "buckets": buckets,
        }
        if buckets == 10_000 and draw(st.booleans()):
            del experiment["buckets"]
        if draw(st.booleans()):
            experiment["hash"] = "md5"
        if draw(st.booleans()):
            # The number keeps salts apart, and the colon keeps them apart from ids.
            experiment["salt"] = "" if index == 0 and draw(st.booleans()) else f"{draw(_printable)}:{index}"
        if len(ids) > 1 or draw(st.booleans()):
            experiment["match"] = {"path_prefix": f"/{index}/{draw(st.sampled_from(['', 'a', 'a/b']))}"}
            if draw(st.booleans()):
                experiment["match"]["route"] = draw(_printable.filter(bool))
        experiments[experiment_id] = experiment
    return {"apiVersion": "meshtrial/v1", "metrics": measured, "experiments": experiments}


def loaded(document: Document) -> Plan:
    """The plan of a document."""
    return load(written(document), "plan.yaml")


def plans(max_experiments: int = 3) -> st.SearchStrategy[Plan]:
    """Valid plans."""
    return plan_documents(max_experiments).map(loaded)
