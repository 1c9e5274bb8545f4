"""`meshtrial size`: how many units a trial needs, and how long it takes to get them."""

import json
import math
from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from meshtrial.errors import SettingError
from meshtrial.plan import scalars
from meshtrial.plan.inference import Scale


def size(
    effect: Annotated[
        str,
        typer.Option(
            help="Smallest effect worth finding: 2pp, '10% relative', for a mean a plain number too."
        ),
    ],
    baseline: Annotated[
        str | None, typer.Option(help="Control's value: 12%, for a mean a plain number.")
    ] = None,
    sd: Annotated[
        float | None, typer.Option(help="Standard deviation between units; says that the metric is a mean.")
    ] = None,
    power: Annotated[str, typer.Option(help="Chance of finding the effect where it exists.")] = "80%",
    alpha: Annotated[str, typer.Option(help="Two-sided error rate, shared by all treatment arms.")] = "5%",
    arms: Annotated[
        int, typer.Option(min=1, max=1000, help="Treatment arms, each compared with control.")
    ] = 1,
    control_share: Annotated[
        str | None, typer.Option(help="Control's share of all units; equal arms if left out.")
    ] = None,
    units_per_day: Annotated[
        float | None, typer.Option(help="New units a day, such as users not seen before.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    r"""Say how many units a trial needs to find an effect.

    From 12% to 14%, and how long that takes at 1,000 new users a day:

        meshtrial size --baseline 12% --effect 2pp --units-per-day 1000

    From 12% to 13.2%, three models against a control that keeps 40% of the users:

        meshtrial size --baseline 12% --effect '10% relative' \
          --arms 3 --control-share 40%

    A mean of 3.2 that moves by 0.1, and varies between users with a standard deviation of 1.5:

        meshtrial size --baseline 3.2 --effect 0.1 --sd 1.5
    """
    from rich.console import Console

    from meshtrial.stats.size import duration_days, mean_size, proportion_size, round_up

    error_rate, chance = _share("--alpha", alpha), _share("--power", power)
    each, ratio = error_rate / arms, _ratio(control_share, arms)
    try:
        if sd is None:
            start = _share("--baseline", baseline or "left out")
            change = _proportion_effect(effect, start)
            exact = proportion_size(start, change, each, chance, ratio)
            how = f"Two-proportion z test, pooled: {_percent(start)} against {_percent(start + change)}"
        else:
            change = _mean_effect(effect, None if baseline is None else _mean(baseline))
            exact = mean_size(sd, change, each, chance, ratio)
            how = f"t test: a change of {change:.6g} at a standard deviation of {sd:.6g}"
        control, treatment = round_up(exact), round_up(exact * ratio)
        planned = control + arms * treatment
        days = None if units_per_day is None else duration_days(planned, units_per_day)
    except ValueError as error:
        raise SettingError(f"no size can be given: {error}") from error

    answer = _Answer(control, treatment, planned, days, each)
    if as_json:
        typer.echo(json.dumps(asdict(answer)))
        return
    shared = "" if arms == 1 else f" shared by {arms} treatment arms ({_percent(each)} each, Bonferroni)"
    how += f", power {_percent(chance)}, two-sided alpha {_percent(error_rate)}{shared}"
    lines = (_units(answer), *_duration(answer, units_per_day), how)
    Console(highlight=False, soft_wrap=True).print("\n".join(lines), markup=False)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What `--json` prints."""

    control_units: int
    treatment_units: int
    """Of each treatment arm."""
    planned_units: int
    """Of all arms."""
    days: float | None
    alpha_per_arm: float


def _units(answer: _Answer) -> str:
    control, treatment, planned = answer.control_units, answer.treatment_units, answer.planned_units
    per_arm = f"{control:,} per arm"
    if control != treatment:
        others = "in treatment" if planned == control + treatment else "in each treatment arm"
        per_arm = f"{control:,} in control, {treatment:,} {others}"
    return f"{per_arm}: {planned:,} units in all (the plan's decision.planned_units)"


def _duration(answer: _Answer, units_per_day: float | None) -> tuple[str, ...]:
    """Rounded up, in hours up to two days; nothing where no traffic is given."""
    if answer.days is None:
        return ()
    hours = math.ceil(24 * answer.days)
    number, unit = (math.ceil(answer.days), "day") if hours > 48 else (hours, "hour")
    some = f"{number:,} {unit}{'s' if number > 1 else ''}"
    return (f"{some} at {units_per_day:,.10g} new units a day, and then the metric's window",)


def _share(flag: str, text: str) -> float:
    """`12%` or `0.12` -> 0.12; whether it is in range, the statistics say."""
    found = scalars.percentage(text.strip())
    if found is not None:
        return float(found)
    number = _number(text)
    if number is None:
        raise SettingError(f"{flag} must be a percentage such as 12%, or a share such as 0.12, not {text}")
    return number


def _ratio(control_share: str | None, arms: int) -> float:
    """Units of a treatment arm for each of control's."""
    if control_share is None:
        return 1.0
    share = _share("--control-share", control_share)
    if not 0 < share < 1:
        raise SettingError(f"--control-share must be above 0% and below 100%, not {control_share}")
    return (1 - share) / share / arms


def _proportion_effect(text: str, baseline: float) -> float:
    """The change of a proportion, in 0..1."""
    sign, size_text = _signed(text)
    bare = scalars.percentage(size_text)
    if bare is not None:
        points, relative = baseline + sign * float(bare), baseline * (1 + sign * float(bare))
        raise SettingError(
            f"--effect {text} may mean two things: write {text.replace('%', 'pp')} for {_percent(baseline)}"
            f" to {_percent(points)}, or '{text} relative' for {_percent(baseline)} to {_percent(relative)}"
        )
    found = scalars.effect(size_text)
    if found is None or (found[0].scale is Scale.ABSOLUTE and not found[1]):
        raise SettingError(
            f"--effect of a proportion must be such as 2pp or '10% relative', and not 0: it is {text}"
        )
    least, _ = found
    return sign * (least.value * baseline if least.scale is Scale.RELATIVE else least.value)


def _mean_effect(text: str, baseline: float | None) -> float:
    """The change of a mean, in the metric's unit."""
    sign, size_text = _signed(text)
    found = scalars.effect(size_text)
    if found is None or found[1]:
        raise SettingError(
            f"--effect of a mean must be such as 0.1 or '10% relative', and not 0: it is {text}"
        )
    least, _ = found
    if least.scale is Scale.ABSOLUTE:
        return sign * least.value
    if not baseline:
        raise SettingError(f"--effect {text} is a share of --baseline, which must be given and not be 0")
    return sign * least.value * baseline


def _mean(text: str) -> float:
    number = _number(text)
    if number is None:
        raise SettingError(f"--baseline of a mean must be a number such as 3.2, not {text}")
    return number


def _signed(text: str) -> tuple[int, str]:
    """A plan's effects have a direction beside them; here a minus sign gives it."""
    bare = text.strip()
    return (-1, bare[1:].strip()) if bare.startswith("-") else (1, bare)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _percent(share: float) -> str:
    return f"{100 * share:.6g}%"
