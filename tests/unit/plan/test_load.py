import hashlib
import json
from pathlib import Path

import pytest

from meshtrial.errors import PlanError
from meshtrial.plan.load import load
from meshtrial.plan.model import Bucketing, Exposures, Hash, Mode
from meshtrial.plan.problems import Rule
from meshtrial.plan.traffic import Match

PLANS = Path(__file__).parents[2] / "plans"
GOOD = sorted((PLANS / "good").glob("*.yaml"))
BAD = sorted((PLANS / "bad").glob("*.yaml"))


def refusal(text: str) -> PlanError:
    with pytest.raises(PlanError) as refused:
        load(text, "plan.yaml")
    return refused.value


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_good_plan_loads_and_its_canonical_document_is_the_same_plan(path: Path) -> None:
    plan = load(path.read_text("utf-8"), path.name)

    assert load(plan.canonical, "canonical") == plan
    assert plan.digest == hashlib.sha256(plan.canonical.encode()).hexdigest()


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_plan_is_refused_with_this_text(path: Path) -> None:
    with pytest.raises(PlanError) as refused:
        load(path.read_text("utf-8"), path.name)

    assert f"{refused.value}\n" == path.with_suffix(".txt").read_text("utf-8")


@pytest.mark.parametrize("rule", Rule)
def test_every_rule_has_a_bad_plan_whose_text_names_it(rule: Rule) -> None:
    text = (PLANS / "bad" / f"{rule}.txt").read_text("utf-8")

    assert f"[{rule}]" in text


def test_every_bad_plan_is_named_for_a_rule_that_its_text_names() -> None:
    for path in BAD:
        if path.stem == "many":
            continue
        text = path.with_suffix(".txt").read_text("utf-8")
        rules = [rule for rule in Rule if path.stem == rule or path.stem.startswith(f"{rule}-")]
        assert any(f"[{rule}]" in text for rule in rules), path


def test_all_problems_of_a_document_are_reported_at_once_in_its_order() -> None:
    problems = refusal((PLANS / "bad" / "many.yaml").read_text("utf-8")).problems

    assert len(problems) == 29
    assert len({problem.rule for problem in problems}) == 21
    assert [problem.line for problem in problems] == sorted(problem.line for problem in problems)


def test_the_error_keeps_the_source_as_the_user_gave_it() -> None:
    error = refusal("")

    assert error.source == "plan.yaml"
    assert str(error) == "plan.yaml:1: $: the document is empty [yaml]"


def test_experiments_and_metrics_come_in_the_order_of_their_ids() -> None:
    plan = load((PLANS / "good" / "two-experiments.yaml").read_text("utf-8"), "plan.yaml")
    full = load((PLANS / "good" / "full.yaml").read_text("utf-8"), "plan.yaml")

    assert [experiment.id for experiment in plan.experiments] == ["rank.v2", "search"]
    assert [metric.id for metric in full.metrics] == ["conversion", "refunds", "returns", "revenue"]


def test_what_is_left_out_has_the_documented_defaults() -> None:
    (experiment,) = load((PLANS / "good" / "minimal.yaml").read_text("utf-8"), "plan.yaml").experiments

    assert experiment.bucketing == Bucketing(Hash.MD5, "rank-v2", 10_000)
    assert (experiment.match, experiment.audience) == (Match(), ())
    assert (experiment.layer, experiment.slice) == (None, (0, 0))
    assert [arm.headers for arm in experiment.arms] == [(), ()]
    assert [split.id for split in experiment.splits] == ["default"]
    assert (experiment.ramp, experiment.mode, experiment.exposures) == (1, Mode.RUNNING, Exposures.FIRST)
    assert (experiment.sticky, experiment.carry, experiment.response_outcomes) == (False, False, False)
    assert experiment.strata == ()


def test_a_full_plan_is_read_as_it_is_written() -> None:
    plan = load((PLANS / "good" / "full.yaml").read_text("utf-8"), "plan.yaml")
    (experiment,) = plan.experiments

    assert (experiment.unit.kind, experiment.unit.group_kind) == ("header:x-user-id", None)
    assert (experiment.match.route, experiment.match.path_prefix) == ("recommend", "/v1/recommend")
    assert experiment.bucketing == Bucketing(Hash.MD5, "rank 2026 Δ", 1000)
    assert [(arm.id, experiment.width(arm, experiment.splits[0])) for arm in experiment.arms] == [
        ("v3", 1),
        ("v1", 499),
        ("v2", 500),
        ("v0", 0),
    ]
    assert experiment.arms[0].headers == (("x-model-family", "trees"), ("x-model-version", "3"))
    assert experiment.control.id == "v1"
    assert [arm.id for arm in experiment.treatments()] == ["v3", "v2", "v0"]
    assert (experiment.decision.alpha, experiment.decision.power) == (0.01, 0.9)
    assert (experiment.decision.planned_units, experiment.decision.minimum_duration) == (120_000, 1_209_600)
    assert [
        (p.metric.id, p.direction, p.minimum_effect.value, p.minimum_effect.scale)
        for p in experiment.decision.primary
    ] == [
        ("conversion", "up", 0.025, "absolute"),
        ("returns", "down", 0.1, "relative"),
        ("revenue", "up", 0.25, "absolute"),
        ("refunds", "down", 0.05, "relative"),
    ]
    assert [(m.id, m.kind, m.events.field, m.window.end) for m in plan.metrics] == [
        ("conversion", "proportion", None, 604_800),
        ("refunds", "mean", "amount", 5400),
        ("returns", "proportion", None, 1_209_600),
        ("revenue", "mean", "amount", 604_800),
    ]
    assert plan.owned_headers == ("x-model-family", "x-model-version")


def test_off_and_no_are_names_when_they_are_quoted() -> None:
    text = (PLANS / "good" / "minimal.yaml").read_text("utf-8")
    quoted = text.replace(" v1", ' "off"').replace(" v2:", ' "no":')
    (experiment,) = load(quoted, "plan.yaml").experiments

    assert [arm.id for arm in experiment.arms] == ["no", "off"]
    assert experiment.control.id == "off"


def test_conflicts_with_an_experiment_that_is_itself_broken_are_reported_together() -> None:
    minimal = (PLANS / "good" / "minimal.yaml").read_text("utf-8")
    head, one = minimal.split("  rank-v2:\n")
    broken = one.replace("alpha: 0.05", "alpha: 5")
    error = refusal(f"{head}  first:\n{broken}  second:\n    salt: first\n{one}")

    assert [problem.rule for problem in error.problems] == ["range", "cluster-chosen-twice", "salts-equal"]


def test_json_with_a_byte_order_mark_is_read() -> None:
    document = json.loads(load((PLANS / "good" / "minimal.yaml").read_text("utf-8"), "plan.yaml").canonical)

    assert load("\ufeff" + json.dumps(document), "plan.json").experiments


def test_an_id_that_would_break_a_line_or_steer_a_terminal_is_shown_escaped() -> None:
    minimal = (PLANS / "good" / "minimal.yaml").read_text("utf-8")
    head, one = minimal.split("  rank-v2:\n")
    error = refusal(f'{head}  "a\\e[31m\\nb":\n{one}  c:\n{one}')

    assert [(p.line, p.path, p.message.partition(":")[0]) for p in error.problems] == [
        (6, r'$.experiments["a\u001b[31m\nb"]', r"`a\x1b[31m\nb` is no name"),
        (19, "$.experiments.c", r"this and `a\x1b[31m\nb` could both choose the cluster of one request"),
    ]
    assert len(str(error).splitlines()) == 2


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("metrics:", "# lives beside filter_metadata\nmetrics:"),
        ("    control:", "    salt: filter_metadata\n    control:"),
        ("    control:", "    salt: static_resources\n    control:"),
        ("metrics:", "# the\n#\n# ends here\nmetrics: # kind:"),
    ],
)
def test_words_of_a_proxys_configuration_do_not_make_a_plan_one(before: str, after: str) -> None:
    text = (PLANS / "good" / "minimal.yaml").read_text("utf-8").replace(before, after, 1)

    assert [experiment.id for experiment in load(text, "plan.yaml").experiments] == ["rank-v2"]


@pytest.mark.parametrize("indent", [None, 0, 2])
def test_a_plan_is_one_however_its_json_is_laid_out(indent: int | None) -> None:
    plan = load((PLANS / "good" / "minimal.yaml").read_text("utf-8"), "plan.yaml")
    document = json.loads(plan.canonical)

    assert load(json.dumps(document, indent=indent), "plan.json") == plan
    last = {key: document[key] for key in sorted(document, reverse=True)}
    assert load(json.dumps(last, indent=indent), "plan.json") == plan


def test_names_of_a_plan_may_be_keys_of_a_proxys_configuration() -> None:
    _, head, body = (PLANS / "good" / "minimal.yaml").read_text("utf-8").split("\n", 2)
    named = body.replace(" v2:", " filter_metadata:").replace("rank-v2:", "resources:")

    for text in (f"{head}\n{named}", f"{named}\n{head}\n"):
        (experiment,) = load(text, "plan.yaml").experiments
        assert experiment.id == "resources"
        assert "filter_metadata" in [arm.id for arm in experiment.arms]


@pytest.mark.parametrize("first", ["kind: Plan\n", "static_resources: {}\n"])
def test_a_plan_with_a_key_of_another_document_is_told_that_the_key_is_unknown(first: str) -> None:
    text = (PLANS / "good" / "minimal.yaml").read_text("utf-8")

    for written in (first + text, f"{text}\n{first}"):
        assert [problem.rule for problem in refusal(written).problems] == ["key-unknown"]
        assert [problem.rule for problem in refusal(f"{written}---\na: 1\n").problems] == ["yaml"]


@pytest.mark.parametrize("text", ["experiments: {}", "name: a", "- a", "apiVersion: v1"])
def test_what_has_no_key_of_a_configuration_is_held_to_be_a_plan(text: str) -> None:
    assert "embedded" not in [problem.rule for problem in refusal(text).problems]


@pytest.mark.parametrize(
    "text",
    [
        "static_resources: {}",
        "{dynamic_resources: {}}",
        "admin: {}\nstaticResources: {}",
        "resources: []",
        '{"apiVersion": "v1", "kind": "List"}',
        "configs: []",
        "virtual_hosts: [{routes: [{metadata: {filterMetadata: {}}}]}]",
    ],
)
def test_a_proxys_configuration_is_known_by_its_keys(text: str) -> None:
    assert [problem.rule for problem in refusal(text).problems] == ["embedded"]


def test_the_limits_of_a_plan_hold_whatever_stands_first_in_it() -> None:
    text = (PLANS / "good" / "minimal.yaml").read_text("utf-8")
    _, head, body = text.split("\n", 2)
    long = f"# {'x' * 1_000_000}\n"
    deep = f"x: {'[' * 33}{']' * 33}\n"

    for written in (text, f"{body}\n{head}\n"):
        [problem] = refusal(written + long).problems
        assert (problem.line, problem.path) == (0, "$")
        assert problem.message.endswith("characters, the limit is 1,000,000")
        [problem] = refusal(deep + written).problems
        assert problem.message == "the document is nested deeper than 32 here"
