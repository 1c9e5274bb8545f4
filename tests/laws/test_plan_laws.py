"""What holds of every plan document."""

import hashlib
import json
import random
import re
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshtrial.errors import PlanError
from meshtrial.plan.load import load
from meshtrial.plan.model import Plan
from plan_documents import Document, loaded, plan_documents, plans, written

SLOW = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)


@SLOW
@given(plans())
def test_the_canonical_document_is_a_plan_that_means_the_same(plan: Plan) -> None:
    assert load(plan.canonical, "canonical") == plan


@SLOW
@given(plans())
def test_the_digest_is_the_sha256_of_the_canonical_document_which_is_json(plan: Plan) -> None:
    assert plan.digest == hashlib.sha256(plan.canonical.encode()).hexdigest()
    document = json.loads(plan.canonical)
    assert [*document] == sorted(document)
    assert {"apiVersion", "experiments", "metrics"} <= document.keys()


@SLOW
@given(plans(), st.text(max_size=3))
def test_an_experiment_is_found_by_its_own_id_and_by_none_that_is_like_it(plan: Plan, near: str) -> None:
    by_id = {experiment.id: experiment for experiment in plan.experiments}
    asked = [other for own in by_id for other in (own, own + near, near + own, own[:-1])]

    assert [plan.experiment(other) for other in [*asked, near]] == [by_id.get(o) for o in [*asked, near]]


@SLOW
@given(plan_documents(), st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter_except_for_arms_and_cohorts(
    document: Document, chance: random.Random
) -> None:
    def shuffled(value: Any, key: str = "") -> Any:
        if not isinstance(value, dict):
            return [shuffled(item) for item in value] if isinstance(value, list) else value
        entries = [(k, shuffled(v, k)) for k, v in value.items()]
        if key not in {"arms", "cohorts"}:
            chance.shuffle(entries)
        return dict(entries)

    assert loaded(shuffled(document)) == loaded(document)


@SLOW
@given(plan_documents())
def test_block_style_means_the_same_as_flow_style(document: Document) -> None:
    class Plain(yaml.SafeDumper):
        """Writes Decimals as numbers."""

    Plain.add_multi_representer(
        object, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:float", f"{value:f}")
    )
    text = yaml.dump(document, Dumper=Plain, sort_keys=False, allow_unicode=True, width=1_000_000)
    assert load(text, "plan.yaml") == loaded(document)


FREE = {"metrics", "experiments", "arms", "headers", "layers", "cohorts"}
"""Mappings whose keys are ids of the user's own choice."""


def places(value: object, path: str = "$", key: str = "") -> list[tuple[dict[str, object], str]]:
    """Every mapping with fixed keys, and its path."""
    if isinstance(value, list):
        return [place for i, item in enumerate(value) for place in places(item, f"{path}[{i}]")]
    if not isinstance(value, dict):
        return []
    own = [] if key in FREE else [(value, path)]
    return own + [place for k, v in value.items() for place in places(v, path + step(k), k)]


def step(key: str) -> str:
    return f".{key}" if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", key) else f'["{key}"]'


@SLOW
@given(plan_documents(), st.data())
def test_a_typo_in_a_key_is_refused_at_its_place(document: Document, data: st.DataObject) -> None:
    mapping, path = data.draw(st.sampled_from(places(document)))
    key = data.draw(st.sampled_from(sorted(mapping)))
    at = data.draw(st.integers(0, len(key)))
    typed = data.draw(st.sampled_from([key[:at] + "q" + key[at:], key[:at] + "Q" + key[at + 1 :]]))
    mapping[typed] = mapping.pop(key)

    with pytest.raises(PlanError) as refused:
        loaded(document)

    assert (path + step(typed), "key-unknown") in [(p.path, p.rule) for p in refused.value.problems]


def plan_or_error(text: str) -> Plan | PlanError:
    try:
        return load(text, "plan.yaml")
    except PlanError as error:
        return error


def refused_or_loaded(text: str) -> None:
    got = plan_or_error(text)
    if isinstance(got, Plan):
        assert load(got.canonical, "canonical") == got
        # PyYAML's own reading of the same text: nothing that stands in it was left out.
        document = yaml.load(text, Loader=yaml.CSafeLoader)  # YAML's own: the pure one refuses legal tabs
        assert [found.id for found in got.experiments] == sorted(document["experiments"])
        assert [metric.id for metric in got.metrics] == sorted(document["metrics"])
        assert all(
            len(found.arms) == len(document["experiments"][found.id]["arms"]) for found in got.experiments
        )
    else:
        assert got.problems
        assert list(got.problems) == sorted(got.problems)
        assert len(str(got).splitlines()) == len(got.problems)


@settings(max_examples=300)
@given(st.text(st.characters()) | st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape")))
def test_any_text_loads_or_is_refused_with_its_problems(text: str) -> None:
    refused_or_loaded(text)


TOKENS = [
    "- ",
    ": ",
    "? ",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "!t ",
    "!!str ",
    "|",
    ">",
    "'",
    '"',
    "#",
    "%",
    "@",
]
TOKENS += [
    "\n",
    "\n  ",
    "\t",
    "---\n",
    "...\n",
    "<<",
    "a",
    "off",
    "1",
    ".nan",
    "~",
    "\x85",
    "\u2028",
    "\ufeff",
]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(TOKENS)).map("".join))
def test_any_string_of_yaml_tokens_loads_or_is_refused(text: str) -> None:
    refused_or_loaded(text)


@settings(SLOW, max_examples=200)
@given(plan_documents(max_experiments=2), st.data())
def test_a_damaged_plan_loads_or_is_refused(document: Document, data: st.DataObject) -> None:
    text = written(document)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(start + 20, len(text))))
    inserted = data.draw(st.sampled_from([*TOKENS, "", "0", "-1", "1e9", "null", "true", "[]", "{}", '""']))
    refused_or_loaded(text[:start] + inserted + text[end:])
