import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from meshtrial.cli.explain import explain
from meshtrial.errors import PlanError, SettingError
from meshtrial.plan.load import load

GOOD = Path(__file__).parents[2] / "plans" / "good"
FULL, LAYERS, MINIMAL = GOOD / "full.yaml", GOOD / "layers.yaml", GOOD / "minimal.yaml"

app = typer.Typer()
app.command()(explain)


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False, terminal_width=160)
    assert result.exit_code == 0
    return result.stdout


def document(*arguments: str | Path) -> dict[str, Any]:
    return dict(json.loads(run("--json", *arguments)))


def walk(found: dict[str, Any], experiment: str) -> dict[str, Any]:
    (one,) = [each for each in found["walks"] if each["experiment"] == experiment]
    return dict(one)


def refusal(plan: Path, experiment: str | None = None, unit: str | None = None, **options: Any) -> str:
    with pytest.raises(SettingError) as refused:
        explain(plan, experiment, unit, **options)
    return str(refused.value)


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def test_each_step_from_the_unit_to_the_arm_is_shown() -> None:
    whole = md5("rank-v2:u1")
    bucket = int(whole, 16) % 10_000
    said = " ".join(run(MINIMAL, "rank-v2", "u1").split())

    assert bucket < 5000
    assert "match yes: every request" in said
    assert "unit header:x-user-id: u1" in said
    assert f"bucket md5('rank-v2:u1') = {whole} -> bucket {bucket:,} of 10,000" in said
    assert "arm v2, reason `split`: the bucket decides" in said
    assert "v2 │ 0 - 4,999 │ 50% │ <- here │" in said
    assert "v1 (control) │ 5,000 - 9,999 │ 50% │ │" in said
    assert "sets x-meshtrial-cluster: model-v2" in said
    assert "sets x-meshtrial-arms: rank-v2=v2" in said
    assert "removes meshtrial-force" in said


def test_an_arm_without_a_share_owns_no_buckets() -> None:
    said = " ".join(run(FULL, "rank-v2", "u1").split())

    assert "│ v0 │" not in said
    assert "v3 │ 0 - 0 │ 0.1%" in said


def test_json_has_every_step_of_a_unit() -> None:
    plan = load(FULL.read_text("utf-8"), "full.yaml")
    key = "rank 2026 Δ:юзер"
    bucket = int(md5(key), 16) % 1000
    lanes = [("v3", 0, 1), ("v2", 1, 501), ("v1", 501, 1000)]
    arm = next(arm for arm, start, end in lanes if start <= bucket < end)
    headers = {"v2": {"x-model-version": "2"}, "v1": {}}[arm]
    found = document(FULL, "rank-v2", "юзер")

    assert found["plan"] == plan.digest
    assert found["headers"]["set"] == {
        "x-meshtrial-cluster": f"model-{arm}",
        "x-meshtrial-arms": f"rank-v2={arm}",
        **headers,
    }
    assert set(found["headers"]["remove"]) == {"x-model-family", "x-model-version", "meshtrial-force"} - set(
        headers
    )
    (one,) = found["walks"]
    assert [step["step"] for step in one.pop("steps")] == ["match", "unit", "bucket", "arm"]
    assert one == {
        "experiment": "rank-v2",
        "takes_part": True,
        "lanes": [{"arm": a, "start": s, "end": e, "here": s <= bucket < e} for a, s, e in lanes],
        "arm": arm,
        "control": arm == "v1",
        "cluster": f"model-{arm}",
        "reason": "split",
        "exposed": True,
        "phase": plan.experiments[0].phase,
        "unit_kind": "header:x-user-id",
        "unit": "юзер",
        "no_unit": None,
        "key": key,
        "hash": "md5",
        "buckets": 1000,
        "bucket": bucket,
        "cohort": None,
        "layer": None,
    }


def test_a_whole_request_walks_through_every_experiment() -> None:
    found = document(LAYERS, "--header", "X-User-Id: u1", "-H", "cookie: a=b; mt=c1", "--path", "/x?y=z")
    in_layer = int(md5("ranking:u1"), 16) % 10_000

    ids = ["colour", "length", "rank-v2", "rank-v3", "tone"]
    assert [each["experiment"] for each in found["walks"]] == ids
    assert 200 <= in_layer < 5_000
    rank_2, rank_3 = walk(found, "rank-v2"), walk(found, "rank-v3")
    assert (rank_2["layer"], rank_2["reason"], rank_2["takes_part"]) == ("ranking", "split", True)
    assert (rank_3["arm"], rank_3["reason"], rank_3["takes_part"]) == ("v1", "outside", False)
    assert f"bucket {in_layer:,} of 10,000; the slice is 200 to 4,999" in str(rank_2["steps"])
    colour = walk(found, "colour")
    assert (colour["unit_kind"], colour["unit"]) == ("cookie:mt", "c1")
    assert colour["arm"] == ("blue" if int(md5("colour:c1"), 16) % 10_000 < 5_000 else "grey")
    arms = dict(pair.split("=") for pair in found["headers"]["set"]["x-meshtrial-arms"].split(", "))
    assert arms == {each["experiment"]: each["arm"] for each in found["walks"] if each["takes_part"]}


def test_where_a_request_drops_out_is_said() -> None:
    request = ["--host", "shop.example.com", "--path", "/r", "--route", "recommend v2"]
    elsewhere = document(GOOD / "audiences.yaml", *request, "--method", "GET")
    (one,) = elsewhere["walks"]
    assert one["takes_part"] is False
    assert one["steps"][-1]["answer"].endswith("and the request's method differs")

    headers = ["-H", "x-app: web", "-H", "x-api: 2", "-H", "x-country: FR", "-H", "x-user-id: u1"]
    (one,) = document(GOOD / "audiences.yaml", *request, "--method", "POST", *headers)["walks"]
    assert one["steps"][-1] == {"step": "audience", "answer": "no: header x-country is one of IN, US"}


def test_a_claim_that_the_proxy_verified_is_given_as_its_metadata() -> None:
    namespace = "envoy.filters.http.jwt_authn"
    claims = json.dumps({namespace: {"payload": {"sub": "alice"}}})
    plan = GOOD / "units.yaml"
    (of_claims,) = (e for e in load(plan.read_text("utf-8"), "units.yaml").experiments if e.id == "by-claim")
    path = of_claims.match.path_prefix or "/"

    assert walk(document(plan, "--path", path, "--metadata", claims), "by-claim")["unit"] == "alice"
    assert walk(document(plan, "--path", path), "by-claim")["no_unit"] == "missing"


def answers(found: dict[str, Any], step: str) -> list[str]:
    (one,) = found["walks"]
    return [each["answer"] for each in one["steps"] if each["step"] == step]


def test_of_a_bare_unit_match_and_audience_are_taken_to_hold_and_that_is_said() -> None:
    found = document(GOOD / "audiences.yaml", "rank", "u1")

    [match] = answers(found, "match")
    assert match.startswith("taken to match: requests on route recommend v2")
    assert answers(found, "audience")[0] == "taken to hold: header x-country is one of IN, US"
    assert len(answers(found, "audience")) == 13
    assert found["walks"][0]["unit"] == "u1"


REQUEST = ("--host", "shop.example.com", "--path", "/r", "--route", "recommend v2", "--method", "POST")
HEADERS = ("-H", "x-app: web", "-H", "x-api: 2")


def test_with_a_unit_the_rest_of_its_request_is_walked_as_it_is() -> None:
    plan = GOOD / "audiences.yaml"
    matching = document(plan, "rank", "u1", *REQUEST, *HEADERS, "-H", "x-country: FR")
    elsewhere = document(plan, "rank", "u1", "--path", "/other")

    assert answers(matching, "match")[0].startswith("yes: requests on route recommend v2")
    assert answers(matching, "audience") == ["no: header x-country is one of IN, US"]
    assert answers(elsewhere, "match")[0].startswith("no: ")
    assert [one["takes_part"] for found in (matching, elsewhere) for one in found["walks"]] == [False, False]


@pytest.mark.parametrize(
    ("unit", "kind", "flags"),
    [
        ("{header: x-user-id}", "header:x-user-id", ("-H", "cookie: a=b")),
        ("{cookie: sid}", "cookie:sid", ("-H", "cookie: a=b; c=d")),
        ("{query: user}", "query:user", ("--path", "/r?a=b")),
        (
            "{metadata: {namespace: jwt, path: [payload, sub]}}",
            "metadata:jwt:payload.sub",
            ("--metadata", '{"jwt": {"payload": {"role": "staff"}}}'),
        ),
    ],
)
def test_a_unit_is_put_beside_what_the_flags_say_and_decides_with_it(
    tmp_path: Path, unit: str, kind: str, flags: tuple[str, str]
) -> None:
    text = MINIMAL.read_text("utf-8")
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        text.replace(
            "unit: {header: x-user-id}", f"unit: {unit}\n    audience: [{{header: x-country, in: [IN]}}]"
        )
    )
    (one,) = document(plan, "rank-v2", "u 1", *flags, "-H", "x-country: IN")["walks"]

    assert (one["unit_kind"], one["unit"], one["takes_part"]) == (kind, "u 1", True)
    assert one["bucket"] == int(md5("rank-v2:u 1"), 16) % 10_000


def test_cohorts_follow_the_flags(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        MINIMAL.read_text("utf-8")
        .replace("experiments:", "cohorts: {pro: [{header: x-plan, in: [pro]}]}\nexperiments:")
        .replace("v2: {weight: 50,", "v2: {weight: {default: 50, pro: 20},")
        .replace("v1: {weight: 50,", "v1: {weight: {default: 50, pro: 80},")
    )

    assert document(plan, "rank-v2", "u1")["walks"][0]["cohort"] == "default"
    assert document(plan, "rank-v2", "u1", "-H", "x-plan: pro")["walks"][0]["cohort"] == "pro"


def test_a_unit_that_the_flags_contradict_is_refused() -> None:
    same = document(MINIMAL, "rank-v2", "u1", "-H", "x-user-id: u1")

    assert same["walks"][0]["unit"] == "u1"
    assert refusal(MINIMAL, "rank-v2", "u1", header=["x-user-id: u2"]) == (
        "the request has another header:x-user-id than UNIT: leave one of the two out"
    )


def test_without_a_request_and_a_unit_what_is_needed_is_said() -> None:
    assert refusal(MINIMAL) == (
        "explain needs a request, such as --path /recommend --header 'x-user-id: u42', or EXPERIMENT UNIT"
    )


def test_a_path_begins_with_a_slash() -> None:
    said = "--path recommend: a request's path begins with /, such as /recommend"

    assert refusal(MINIMAL, path="recommend") == said
    assert refusal(MINIMAL, "rank-v2", "u1", path="recommend") == said


def test_a_wrong_request_is_told() -> None:
    assert refusal(MINIMAL, header=["x-user-id"]) == "--header 'x-user-id': write `name: value`"
    assert refusal(MINIMAL, header=[": u1"]) == "--header ': u1': write `name: value`"
    for wrong in ("{", "[]", '{"a": 1}'):
        said = refusal(MINIMAL, metadata=wrong)
        assert said.startswith("--metadata must be a JSON object of objects by namespace: ")
    assert refusal(MINIMAL, "rank-v2") == (
        "explain needs a UNIT after EXPERIMENT, or neither of them and --header, --path"
    )


def test_an_unknown_experiment_is_told_with_those_that_are_known() -> None:
    plan = GOOD / "two-experiments.yaml"

    assert refusal(plan, "rank", "u1").startswith(f"{plan} has no experiment `rank`")


def test_a_unit_that_no_request_can_have_is_told_with_the_reason() -> None:
    end = ": a request with it goes to control and is not exposed"

    assert refusal(MINIMAL, "rank-v2", "") == f"the unit is empty{end}"
    assert refusal(MINIMAL, "rank-v2", "é" * 513) == f"the unit has 1,026 bytes, the limit is 1,024{end}"
    assert refusal(MINIMAL, "rank-v2", os.fsdecode(b"\xff")) == f"the unit is not UTF-8{end}"


def test_a_unit_of_the_longest_size_is_explained() -> None:
    assert document(MINIMAL, "rank-v2", "x" * 1024)["walks"][0]["unit"] == "x" * 1024


def test_a_bad_plan_is_the_loaders_own_error() -> None:
    with pytest.raises(PlanError):
        explain(GOOD.parent / "bad" / "range.yaml", "rank-v2", "u1")


def test_a_unit_cannot_steer_the_terminal_and_is_not_taken_for_markup() -> None:
    said = run(MINIMAL, "rank-v2", "\x1b[31m[red]u1")

    assert "\x1b" not in said
    assert re.search(r"unit +header:x-user-id: \\x1b\[31m\[red\]u1", said)
