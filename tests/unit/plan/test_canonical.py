"""Digests: equal for plans that mean the same, different for every change of meaning."""

import hashlib
import json
from pathlib import Path

import pytest
import yaml

from meshtrial.plan.load import load

GOOD = Path(__file__).parents[2] / "plans" / "good"
MINIMAL = (GOOD / "minimal.yaml").read_text("utf-8")
FULL = (GOOD / "full.yaml").read_text("utf-8")


def changed(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


def digest(text: str) -> str:
    return load(text, "plan.yaml").digest


def test_the_canonical_document_of_a_small_plan_is_this_one() -> None:
    plan = load(MINIMAL, "plan.yaml")
    expected = (
        '{"apiVersion":"meshtrial/v1","experiments":{"rank-v2":{"arms":{'
        '"v2":{"cluster":"model-v2","weight":50},"v1":{"cluster":"model-v1","weight":50}},"control":"v1",'
        '"decision":{"alpha":0.05,"method":"fixed","minimum_duration":"1209600s","planned_units":8876,'
        '"power":0.8,"primary":[{"direction":"up","metric":"conversion","minimum_effect":"2pp"}]},'
        '"unit":{"header":"x-user-id"}}},'
        '"metrics":{"conversion":{"kind":"proportion","outcome":"purchase","window":"604800s"}}}'
    )

    assert plan.canonical == expected
    assert plan.digest == hashlib.sha256(expected.encode()).hexdigest()


SAME = [
    ("window: 7d", "window: 168h"),
    ("window: 7d", "window: 1w"),
    ("window: 7d", "window: 604800 s"),
    ("minimum_duration: 14d", "minimum_duration: 2w"),
    ("minimum_effect: 2pp", "minimum_effect: 2.00 pp"),
    ("alpha: 0.05", "alpha: 0.0500"),
    ("planned_units: 8876", "planned_units: +8876.0"),
    ("v2: {weight: 50,", "v2: {weight: 50.00,"),
    ("    control: v1", "    buckets: 10000\n    control: v1"),
    ("    control: v1", "    hash: md5\n    control: v1"),
    ("    control: v1", "    salt: rank-v2\n    control: v1"),
    ("{header: x-user-id}", "{header: X-User-ID}"),
    ("apiVersion: meshtrial/v1\n", "# A comment.\napiVersion: 'meshtrial/v1'\n"),
    ("    control: v1\n", "    control: &c v1\n"),
    ("v2: {weight: 50, cluster: model-v2}", "v2: {cluster: model-v2, weight: 50}"),
]


@pytest.mark.parametrize(("old", "new"), SAME, ids=[new.strip() for _, new in SAME])
def test_another_way_of_writing_the_same_keeps_the_digest(old: str, new: str) -> None:
    assert digest(changed(MINIMAL, old, new)) == digest(MINIMAL)


@pytest.mark.parametrize("text", [MINIMAL, FULL])
def test_json_and_sorted_keys_keep_the_digest_where_arms_keep_their_order(text: str) -> None:
    document = yaml.safe_load(text)

    assert digest(json.dumps(document)) == digest(text)
    assert digest(yaml.dump(dict(reversed(document.items())), sort_keys=False)) == digest(text)


INFERENCE = (GOOD / "inference.yaml").read_text("utf-8")
SAME_INFERENCE = [
    ("window: {start: 0, end: 7d}", "window: 7d"),
    ("window: {start: 1d, end: 7d}", "window: {end: 1w, start: 24h}"),
    ("denominator: {outcome: purchase}", "denominator: purchase"),
    ("numerator: click", "numerator: {outcome: click}"),
    ("cap: 500\n", "cap: 500.00\n"),
    ("cap: 99.9%", "cap: 99.90 %"),
    ("covariates: [{outcome: purchase, before: 14d}]", "covariate: 14d"),
    ("99.9%, covariate: 14d", "99.9%, covariates: [{outcome: purchase, value: amount, before: 2w}]"),
    ("q: 0.95", "q: 0.950"),
    ("      looks: 5\n", "      looks: [20%, 40%, 60%, 80%, 100%]\n"),
    ("      lateness: 1h\n", ""),
    ("      gatekeeping: false\n", ""),
    ("      lateness: 0s\n", "      lateness: 0\n"),
    ("- {metric: profit}", "- profit"),
    ("margin: 0.5pp", "margin: 0.005"),
    ("boundary: {wang_tsiatis: 0.25}", "boundary: {wang_tsiatis: 0.250}"),
    ("washout: 0s, ", ""),
    ("{header: X-Neighbours}", "{header: x-neighbours}"),
    ("      looks: {every: 7d}\n      spending: {hwang_shih_decani: -4}\n",
     "      spending: {hwang_shih_decani: -4.0}\n      looks: {every: 168h}\n"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), SAME_INFERENCE, ids=[old.strip() for old, _ in SAME_INFERENCE])
def test_another_way_of_writing_the_same_inference_keeps_the_digest(old: str, new: str) -> None:
    assert digest(changed(INFERENCE, old, new)) == digest(INFERENCE)


def test_spending_as_obrien_and_fleming_is_the_default() -> None:
    with_looks = changed(MINIMAL, "method: fixed", "method: group_sequential\n      looks: 3")
    spending = changed(with_looks, "looks: 3", "looks: 3\n      spending: obrien_fleming")
    boundary = changed(with_looks, "looks: 3", "looks: 3\n      boundary: obrien_fleming")

    assert digest(spending) == digest(with_looks) != digest(boundary)


CHANGED_INFERENCE = [
    ("window: {start: 1d, end: 7d}", "window: {start: 2d, end: 7d}"),
    ("request: grpc_error", "request: error"),
    ("covariate: 30d", "covariate: 31d"),
    (", covariate: 30d", ""),
    ("{outcome: visit, before: 14d}", "{outcome: visit, value: length, before: 14d}"),
    ("cap: 500\n", "cap: 99%\n"),
    ("cap: 99.9%", "cap: 99.99%"),
    ("q: 0.95", "q: 0.99"),
    ("numerator: click", "numerator: {outcome: click, value: worth}"),
    ("denominator: impression", "denominator: view"),
    ("      looks: 5\n", "      looks: 4\n"),
    ("      looks: [25%, 50%, 100%]\n", "      looks: [25%, 51%, 100%]\n"),
    ("      looks: {every: 7d}\n", "      looks: {every: 8d}\n"),
    ("boundary: {wang_tsiatis: 0.25}", "boundary: {wang_tsiatis: 0.3}"),
    ("boundary: obrien_fleming", "boundary: pocock"),
    ("boundary: obrien_fleming", "spending: pocock"),
    ("spending: {hwang_shih_decani: -4}", "spending: {hwang_shih_decani: 4}"),
    ("futility: {hwang_shih_decani: -2}", "futility: pocock"),
    ("      futility: {hwang_shih_decani: -2}\n", ""),
    ("      gatekeeping: true\n", ""),
    ("      lateness: 0s\n", ""),
    ("lateness: 2h", "lateness: 3h"),
    (", require_above: 0.5% relative", ""),
    ("require_above: 0.001", "require_above: 0.002"),
    ("margin: 0.5pp", "margin: 0.5% relative"),
    ("error_rate, direction: down", "error_rate, direction: up"),
    ("{metric: revenue, direction: up}\n", "revenue\n"),
    ("        - {metric: profit}\n", ""),
    ("method: sequential", "method: fixed"),
    (", carryover: 30m", ""),
    ("    neighbours: {header: X-Neighbours}\n", ""),
]


def test_each_change_of_inference_has_a_digest_of_its_own_and_keeps_every_phase() -> None:
    plans = [load(text, "p") for text in (INFERENCE, *(changed(INFERENCE, *c) for c in CHANGED_INFERENCE))]

    assert len({plan.digest for plan in plans}) == len(plans)
    assert {tuple(e.phase for e in plan.experiments) for plan in plans} == {
        tuple(e.phase for e in plans[0].experiments)
    }
    assert all(load(plan.canonical, "canonical") == plan for plan in plans)


CHANGES = [
    ("conversion: {kind: proportion, outcome: purchase", "conversion: {kind: proportion, outcome: visit"),
    ("outcome: return, window: 2w", "outcome: return, window: 1w"),
    ("value: amount, window: 168h", "value: net, window: 168h"),
    (
        "returns:    {kind: proportion, outcome: return,",
        "returns:    {kind: mean, outcome: return, value: amount,",
    ),
    (
        "  refunds:    {kind: mean",
        "  unused: {kind: proportion, outcome: click, window: 1d}\n  refunds:    {kind: mean",
    ),
    ("route: recommend, path", "route: recommended, path"),
    ("route: recommend, path", "path"),
    ("path_prefix: /v1/recommend", "path_prefix: /v1/recommend/"),
    ("match: {route: recommend, path_prefix: /v1/recommend}", "match: {route: recommend}"),
    ("    match: {route: recommend, path_prefix: /v1/recommend}\n", ""),
    ("{header: X-User-Id}", "{header: x-session-id}"),
    ("{header: X-User-Id}", "{request: true}"),
    ("buckets: 1000", "buckets: 2000"),
    ("salt: rank 2026 Δ", "salt: rank 2026"),
    ("salt: rank 2026 Δ", 'salt: ""'),
    ("    salt: rank 2026 Δ\n", ""),
    ("control: v1", "control: v2"),
    ("cluster: model-v3", "cluster: model-v4"),
    ('X-Model-Version: "3"', 'X-Model-Version: "4"'),
    ("x-model-family: trees", "x-model-kind: trees"),
    (', headers: {x-model-version: "2"}', ""),
    ("      v0: {weight: 0,", "      v9: {weight: 0,"),
    ("      v0: {weight: 0, cluster: model-v0}\n", ""),
    ("alpha: 0.01", "alpha: 0.010001"),
    ("power: 0.9", "power: 0.8"),
    ("planned_units: 120000", "planned_units: 120001"),
    ("minimum_duration: 2w", "minimum_duration: 15d"),
    ("minimum_effect: 2.5pp", "minimum_effect: 2.5% relative"),
    ("minimum_effect: 2.5pp", "minimum_effect: 2.500001pp"),
    ("minimum_effect: 0.25}", "minimum_effect: 25% relative}"),
    ("minimum_effect: 0.25}", "minimum_effect: 0.2500000001}"),
    ("metric: returns, direction: down", "metric: returns, direction: up"),
    ("        - {metric: returns, direction: down, minimum_effect: 10% relative}\n", ""),
    ("  rank-v2:", "  rank-v3:"),
]


@pytest.mark.parametrize(
    ("old", "new"), CHANGES, ids=[f"{old.strip()} -> {new.strip()}" for old, new in CHANGES]
)
def test_a_change_of_meaning_changes_the_digest(old: str, new: str) -> None:
    text = FULL
    if "kind: mean, outcome: return" in new:
        text = changed(text, "minimum_effect: 10% relative", "minimum_effect: 11% relative")
    assert digest(changed(text, old, new)) != digest(text)


def test_the_order_and_the_weights_of_arms_change_the_digest() -> None:
    v2, v1 = (line for line in MINIMAL.splitlines() if "weight" in line)
    swapped = MINIMAL.replace(f"{v2}\n{v1}", f"{v1}\n{v2}")
    weighed = changed(
        changed(MINIMAL, "v2: {weight: 50", "v2: {weight: 40"), "v1: {weight: 50", "v1: {weight: 60"
    )

    assert len({digest(MINIMAL), digest(swapped), digest(weighed)}) == 3


def test_two_changes_of_meaning_never_share_a_digest() -> None:
    digests = [
        digest(changed(FULL, old, new)) for old, new in CHANGES if "kind: mean, outcome: return" not in new
    ]

    assert len(set(digests)) == len(digests)


def test_very_small_and_very_long_numbers_stay_exact() -> None:
    text = changed(MINIMAL, "alpha: 0.05", "alpha: 0.000000000001")
    text = changed(text, "minimum_effect: 2pp", "minimum_effect: 0.000000000001% relative")
    plan = load(text, "plan.yaml")

    assert '"alpha":0.000000000001,' in plan.canonical
    assert '"minimum_effect":"0.000000000001% relative"' in plan.canonical
    assert load(plan.canonical, "canonical") == plan


PHASE_KEPT = [
    ("alpha: 0.01", "alpha: 0.02"),
    ("path_prefix: /v1/recommend", "path_prefix: /v2/recommend"),
]
PHASE_CHANGED = [
    ("cluster: model-v3", "cluster: model-v4"),
    ('X-Model-Version: "3"', 'X-Model-Version: "4"'),
    ("{header: X-User-Id}", "{header: x-session-id}"),
    ("buckets: 1000", "buckets: 2000"),
    ("salt: rank 2026 Δ", "salt: rank 2027"),
    ("control: v1", "control: v2"),
    ("weight: 0, cluster: model-v0", "weight: 0.0, cluster: model-v0}\n      v4: {weight: 0, cluster: x"),
]


@pytest.mark.parametrize(("old", "new"), PHASE_KEPT)
def test_what_neither_moves_a_unit_nor_changes_an_arm_keeps_the_phase(old: str, new: str) -> None:
    before, after = (load(text, "p").experiments[0].phase for text in (FULL, changed(FULL, old, new)))

    assert before == after


@pytest.mark.parametrize(("old", "new"), PHASE_CHANGED)
def test_what_may_move_a_unit_or_is_another_arm_begins_a_phase(old: str, new: str) -> None:
    before, after = (load(text, "p").experiments[0].phase for text in (FULL, changed(FULL, old, new)))

    assert before != after
