import doctest
import json
import re
import shlex
from pathlib import Path

import pytest
import typer
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import proportion_effectsize
from typer.testing import CliRunner

from meshtrial.cli.size import size
from meshtrial.errors import SettingError
from plan_values import experiment, plan_text

PAGE = Path(__file__).parents[3] / "docs" / "sample-size.md"
CONSOLE = re.findall(r"^```console\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
EXAMPLES = [
    (command, output)
    for block in CONSOLE
    for command, _, output in (part.partition("\n") for part in block.split("$ ")[1:])
]

app = typer.Typer(rich_markup_mode="markdown")
app.callback()(lambda: None)
app.command()(size)


def run(*flags: str) -> str:
    result = CliRunner().invoke(app, ["size", *flags], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_the_textbook_case_takes_4438_per_arm() -> None:
    said = run("--baseline", "12%", "--effect", "2pp")
    assert said == (
        "4,438 per arm: 8,876 units in all (the plan's decision.planned_units)\n"
        "Two-proportion z test, pooled: 12% against 14%, power 80%, two-sided alpha 5%\n"
    )


@pytest.mark.parametrize(("command", "output"), EXAMPLES, ids=[command for command, _ in EXAMPLES])
def test_each_command_of_the_page_prints_what_the_page_says(command: str, output: str) -> None:
    program, subcommand, *flags = shlex.split(command)
    assert (program, subcommand) == ("meshtrial", "size")
    assert run(*flags) == output


def test_the_page_shows_all_three_true_sizes() -> None:
    shown = [output.split(" per arm")[0] for _, output in EXAMPLES]
    assert {"4,438", "2,213", "752,703"} <= set(shown)


def test_the_code_of_the_page_gives_what_the_page_says() -> None:
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(verbose=False)
    code = parser.get_doctest(PAGE.read_text("utf-8"), {}, PAGE.name, str(PAGE), 0)
    assert runner.run(code) == (0, 8)


def test_the_other_conventions_that_the_page_names_give_what_it_says() -> None:
    d = proportion_effectsize(0.14, 0.12)
    arcsine = NormalIndPower().solve_power(d, alpha=0.05, power=0.8)
    unpooled = (1.959963984540054 + 0.8416212335729143) ** 2 * (0.12 * 0.88 + 0.14 * 0.86) / 0.02**2
    page = PAGE.read_text("utf-8")
    assert f"arcsine formula {arcsine:,.1f}" in page
    assert f"unpooled variances give {unpooled:,.1f}" in page


@pytest.mark.parametrize(
    ("flags", "per_arm"),
    [
        (["--baseline", "12%", "--effect", "10% relative"], "12,004"),
        (["--baseline", "0.12", "--effect", "2pp", "--power", "0.8", "--alpha", "0.05"], "4,438"),
        (["--baseline", "12%", "--effect", "-2pp"], "3,841"),
        (["--effect", "1", "--sd", "1", "--power", "90%"], "23"),
        (["--baseline", "10", "--effect", "10% relative", "--sd", "1", "--power", "90%"], "23"),
        (["--baseline", "-10", "--effect", "-10% relative", "--sd", "1", "--power", "90%"], "23"),
    ],
)
def test_every_notation_is_read(flags: list[str], per_arm: str) -> None:
    assert run(*flags).startswith(f"{per_arm} per arm: ")


@pytest.mark.parametrize(
    ("per_day", "said"),
    [("1000", "9 days at 1,000 "), ("1e6", "1 hour at 1,000,000 "), ("5000", "43 hours at 5,000 ")],
)
def test_traffic_says_how_long_it_takes(per_day: str, said: str) -> None:
    _, duration, _ = run("--baseline", "12%", "--effect", "2pp", "--units-per-day", per_day).splitlines()
    assert duration == f"{said}new units a day, and then the metric's window"


def test_more_arms_share_alpha_and_the_output_says_so() -> None:
    three = run("--baseline", "12%", "--effect", "2pp", "--arms", "3", "--alpha", "6%")
    one = run("--baseline", "12%", "--effect", "2pp", "--alpha", "2%")
    assert three.split()[0] == one.split()[0]
    assert three.endswith("two-sided alpha 6% shared by 3 treatment arms (2% each, Bonferroni)\n")


def test_json_holds_the_numbers_unrounded_in_days_only() -> None:
    said = run("--baseline", "12%", "--effect", "2pp", "--units-per-day", "1000", "--arms", "2", "--json")
    answer = json.loads(said)
    per_arm = answer["control_units"]
    expected = {
        "control_units": per_arm,
        "treatment_units": per_arm,
        "planned_units": 3 * per_arm,
        "days": 3 * per_arm / 1000,
        "alpha_per_arm": 0.025,
        "effect": 0.02,
        "power": 0.8,
        "method": "fixed",
        "looks": 1,
        "inflation": 1.0,
        "expected_units_without_effect": 3 * per_arm,
        "expected_units_with_effect": 3 * per_arm,
        "design_effect": 1.0,
        "groups": None,
        "conventions": None,
    }
    assert {name: value for name, value in answer.items() if name != "curve"} == pytest.approx(expected)
    assert [point["units"] / per_arm for point in answer["curve"]] == pytest.approx(
        [0.75, 1.5, 2.25, 3, 3.75, 4.5, 6]
    )
    assert answer["curve"][3]["power"] == pytest.approx(0.8, abs=1e-3)
    assert answer["curve"][3]["detectable_effect"] == pytest.approx(0.02, abs=1e-5)
    assert answer["curve"][0]["days"] == answer["curve"][0]["units"] / 1000
    assert json.loads(run("--effect", "1", "--sd", "1", "--json"))["days"] is None


def test_a_control_share_splits_the_total_by_that_share() -> None:
    answer = json.loads(
        run("--baseline", "12%", "--effect", "2pp", "--arms", "3", "--control-share", "70%", "--json")
    )
    assert answer["planned_units"] == answer["control_units"] + 3 * answer["treatment_units"]
    assert answer["control_units"] / answer["planned_units"] == pytest.approx(0.7, abs=1e-3)
    assert answer["treatment_units"] / answer["planned_units"] == pytest.approx(0.1, abs=1e-3)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--effect", "2pp"],
            "--baseline must be a percentage such as 12%, or a share such as 0.12, not left out",
        ),
        (
            ["--baseline", "twelve", "--effect", "2pp"],
            "--baseline must be a percentage such as 12%, or a share such as 0.12, not twelve",
        ),
        (
            ["--baseline", "5%", "--effect", "2%"],
            "--effect 2% may mean two things: write 2pp for 5% to 7%, or '2% relative' for 5% to 5.1%",
        ),
        (
            ["--baseline", "5%", "--effect", "-2%"],
            "--effect -2% may mean two things: write -2pp for 5% to 3%, or '-2% relative' for 5% to 4.9%",
        ),
        (
            ["--baseline", "5%", "--effect", "0.02"],
            "--effect of a proportion must be such as 2pp or '10% relative', and not 0: it is 0.02",
        ),
        (
            ["--baseline", "5%", "--effect", "0pp"],
            "--effect of a proportion must be such as 2pp or '10% relative', and not 0: it is 0pp",
        ),
        (
            ["--effect", "2pp", "--sd", "1"],
            "--effect of a mean must be such as 0.1 or '10% relative', and not 0: it is 2pp",
        ),
        (
            ["--effect", "2% relative", "--sd", "1"],
            "--effect 2% relative is a share of --baseline, which must be given and not be 0",
        ),
        (
            ["--effect", "1", "--sd", "1", "--baseline", "nan"],
            "--baseline of a mean must be a number such as 3.2, not nan",
        ),
        (
            ["--baseline", "12%", "--effect", "2pp", "--control-share", "100%"],
            "--control-share must be above 0% and below 100%, not 100%",
        ),
        (
            ["--baseline", "12", "--effect", "2pp"],
            "no size can be given: baseline must be above 0 and below 1, not 12",
        ),
        (
            ["--baseline", "99%", "--effect", "2pp"],
            "no size can be given: baseline plus effect must be above 0 and below 1, not 1.01",
        ),
        (
            ["--baseline", "12%", "--effect", "2pp", "--power", "100%"],
            "no size can be given: power must be above 0.05 and below 1, not 1",
        ),
        (
            ["--baseline", "12%", "--effect", "2pp", "--alpha", "inf"],
            "--alpha must be a percentage such as 12%, or a share such as 0.12, not inf",
        ),
        (["--effect", "1", "--sd", "nan"], "no size can be given: sd must be above 0 and finite, not nan"),
        (
            ["--baseline", "12%", "--effect", "2pp", "--units-per-day", "0"],
            "no size can be given: units_per_day must be above 1e-06 and finite, not 0",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(flags: list[str], message: str) -> None:
    with pytest.raises(SettingError) as refused:
        run(*flags)
    assert str(refused.value) == message


def test_the_help_teaches_by_examples_that_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plan.yaml").write_text(plan_text({"rank-v2": experiment()}))
    monkeypatch.chdir(tmp_path)
    shown = run("--help")
    examples = re.findall(r"meshtrial (size --.*)", re.sub(r"\\\s*\n", "", shown))
    assert len(examples) == 7
    for example in examples:
        assert re.search("units in all|planned_units 8,876 is enough", run(*shlex.split(example)[1:]))


def test_units_that_are_given_have_a_power_or_an_effect_that_they_find() -> None:
    # 1,800 an arm find 12% against 14% in 43 of 100 trials, and 3.2 points in 80.
    power = run("--baseline", "12%", "--effect", "2pp", "--units", "3600")
    assert "3,600 units find it with a power of 43.0%\n" in power
    assert "power 80%" not in power
    found = run("--baseline", "12%", "--units", "3600")
    assert "3,600 units find +3.2pp, 26.7% of the baseline\n" in found
    down = json.loads(run("--baseline", "12%", "--units", "3600", "--direction", "down", "--json"))
    assert down["effect"] == pytest.approx(-0.0286, abs=5e-4)
    few = run("--sd", "1", "--effect", "1", "--units", "3")
    assert "3 units have no power that can be told: each arm takes 2 units" in few


def test_a_guardrail_is_sized_by_the_score_test_against_its_margin() -> None:
    said = run("--baseline", "12%", "--margin", "1pp")
    assert said.startswith("16,590 per arm")
    assert "score test (Farrington-Manning): 12% against 12%, shown not to be 1pp below control" in said
    assert said.endswith("one-sided alpha 2.5%\n")
    share = json.loads(run("--baseline", "12%", "--margin", "10% relative", "--arms", "3", "--json"))
    assert share["control_units"] == pytest.approx(2 * 7.8489 * 0.1056 * 0.905 / 0.012**2, rel=2e-3)
    assert share["alpha_per_arm"] == 0.05


def test_what_must_be_exceeded_and_beta_that_is_shared_take_more() -> None:
    above = run("--baseline", "12%", "--effect", "3pp", "--require-above", "1pp")
    assert "4,574 per arm" in above
    assert "shown to be 1pp above control" in above
    shared = run("--baseline", "12%", "--effect", "2pp", "--guardrails", "3", "--primaries", "2")
    plain = run("--baseline", "12%", "--effect", "2pp", "--power", "95%", "--alpha", "2.5%")
    assert shared.split()[0] == plain.split()[0]
    assert "power 95% (beta 20% shared by 4 metrics)" in shared
    assert "shared by 2 primary metrics (2.5% each, Bonferroni)" in shared


@pytest.mark.parametrize(
    ("flags", "units"),
    [
        (["--kind", "count", "--baseline", "3.2", "--effect", "0.1", "--dispersion", "2"], 20_408),
        (["--kind", "ratio", "--baseline", "10%", "--effect", "0.5pp", "--sd", "0.2"], 50_236),
        (["--kind", "quantile", "--quantile", "50%", "--density", "0.5", "--baseline", "1",
          "--effect", "0.1"], 3_142),
        (["--baseline", "12%", "--effect", "2pp", "--removed", "25%"], 6_658),
        (["--baseline", "12%", "--effect", "2pp", "--icc", "2%", "--group-size", "50"], 17_700),
    ],
)  # fmt: skip
def test_every_kind_and_design_has_a_size(flags: list[str], units: int) -> None:
    assert json.loads(run(*flags, "--json"))["planned_units"] == pytest.approx(units, abs=4)


def test_a_quantile_by_its_median_is_one_by_its_density() -> None:
    # A lognormal with median 80 and 250 at 95% has sigma 0.6927: its density there is phi(1.645) / 173.2.
    flags = [
        "--kind",
        "quantile",
        "--quantile",
        "95%",
        "--baseline",
        "250",
        "--effect",
        "-25",
        "--events",
        "12",
    ]
    by_median = run(*flags, "--median", "80", "--event-icc", "10%")
    by_density = run(*flags, "--density", "5.9555e-4", "--event-icc", "0.1")
    assert by_median.split(":")[0] == by_density.split(":")[0] == "590 per arm"


def test_groups_are_counted_and_whole() -> None:
    said = run("--baseline", "12%", "--effect", "2pp", "--icc", "2%", "--group-size", "50")
    assert said.endswith("354 groups of 50 units; design effect 1.98\n")
    uneven = run(
        "--baseline", "12%", "--effect", "2pp", "--icc", "2%", "--group-size", "50",
        "--group-size-variation", "50%",
    )  # fmt: skip
    assert "design effect 2.23" in uneven


def test_looks_cost_units_at_most_and_save_them_on_average() -> None:
    said = run("--baseline", "12%", "--effect", "2pp", "--method", "group_sequential")
    assert "Group sequential, 5 looks evenly spaced: 1.025 times the units of one look at most" in said
    assert "on average 7,311 with the effect, 9,036 without" in said
    always = json.loads(
        run("--baseline", "12%", "--effect", "2pp", "--method", "sequential", "--looks", "20", "--json")
    )
    assert always["inflation"] == pytest.approx(always["planned_units"] / 8874.7, rel=1e-3)
    assert always["expected_units_with_effect"] < 0.7 * always["planned_units"]
    giving_up = json.loads(
        run(
            "--baseline", "12%", "--effect", "2pp", "--method", "group_sequential", "--futility", "pocock",
            "--spending", "pocock", "--json",
        )
    )  # fmt: skip
    assert giving_up["expected_units_without_effect"] < 0.5 * giving_up["planned_units"]


def test_the_curve_is_shown_when_asked_for() -> None:
    shown = run("--baseline", "12%", "--effect", "2pp", "--units-per-day", "1000", "--curve")
    assert re.search(r"│ +8,876 │ +8\.9 │ +80\.0% │ +\+2pp │", shown)


def test_other_calculators_sizes_are_shown_when_asked_for() -> None:
    shown = run("--baseline", "20%", "--effect", "5pp", "--conventions")
    assert "evan_miller: 1,030.2 in each of two equal arms\n" in shown
    assert shown.startswith("1,094 per arm")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--baseline", "12%"], "--effect must be given; or --units, to ask what effect they find"),
        (
            ["--baseline", "12%", "--baseline", "13%", "--effect", "2pp"],
            "--baseline is given twice",
        ),
        (
            ["--baseline", "12%", "--margin", "1pp", "--require-above", "1pp"],
            "--margin is of a guardrail, and --require-above of a primary: give one of them",
        ),
        (
            ["--baseline", "12%", "--effect", "1pp", "--require-above", "2pp"],
            "--effect must lie beyond --require-above, or within --margin, by --direction",
        ),
        (
            ["--baseline", "12%", "--effect", "2pp", "--looks", "5"],
            "--looks and --futility need --method group_sequential or sequential",
        ),
        (
            ["--sd", "1", "--effect", "1", "--conventions"],
            "--conventions are of proportions, without a margin",
        ),
        (
            ["--baseline", "12%", "--effect", "2pp", "--icc", "2%"],
            "groups take both --icc and --group-size",
        ),
        (
            ["--baseline", "12%", "--effect", "2pp", "--icc", "-1", "--group-size", "9"],
            "--icc must be from 0 to 1, --group-size 1 or more, their variation 0 or more",
        ),
        (["--kind", "ratio", "--effect", "1"], "--sd must be given: how far units of a ratio vary"),
        (
            ["--kind", "count", "--effect", "1"],
            "--baseline must be given for a count: control's value, such as 3.2",
        ),
        (
            ["--kind", "quantile", "--quantile", "95%", "--baseline", "9", "--effect", "1"],
            "a quantile takes either --median or --density",
        ),
        (["--sd", "much", "--effect", "1"], "--sd must be a number such as 30, not much"),
        (
            ["--sd", "1", "--margin", "5% relative"],
            "a share of --baseline needs a baseline that is not 0",
        ),
        (
            ["--baseline", "12%", "--units", "4"],
            "no size can be given: 2 units in control are too few to find any effect",
        ),
        (
            ["--baseline", "12%", "--effect", "2pp", "--removed", "100%"],
            "no size can be given: the share removed must be 0 or more and below 1, not 1",
        ),
        (["--plan", "plan.yaml"], "--plan takes --experiment: which one of the plan"),
        (
            ["--experiment", "rank-v2", "--alpha", "1%"],
            "--alpha does not go with --experiment: the plan says it",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(flags: list[str], message: str) -> None:
    with pytest.raises(SettingError) as refused:
        run(*flags)
    assert str(refused.value) == message
