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
    assert answer == {
        "control_units": per_arm,
        "treatment_units": per_arm,
        "planned_units": 3 * per_arm,
        "days": 3 * per_arm / 1000,
        "alpha_per_arm": 0.025,
    }
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


def test_the_help_teaches_by_examples_that_work() -> None:
    shown = run("--help")
    examples = re.findall(r"meshtrial (size --.*)", re.sub(r"\\\s*\n", "", shown))
    assert len(examples) == 3
    for example in examples:
        assert "units in all" in run(*shlex.split(example)[1:])
