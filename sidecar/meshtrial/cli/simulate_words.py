"""What `meshtrial simulate` prints."""

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from meshtrial.analysis.decision import Ruling
from meshtrial.analysis.numbers import shown_effect
from meshtrial.analysis.simulated import DAY, Simulated
from meshtrial.analysis.simulation import MINIMUM_EFFECT, NO_EFFECT, Rate, Tally
from meshtrial.cli.simulate_runs import Job
from meshtrial.plan.inference import Method, MetricKind

_RULINGS = (Ruling.SHIP, Ruling.KEEP_CONTROL, Ruling.ROLL_BACK, Ruling.REVIEW, Ruling.WAIT)


def rendered(job: Job, tallies: Sequence[Tally], runs: int) -> RenderableType:
    """Two sentences, a table, and what was taken for granted."""
    simulated = job.simulated()
    by_name = {tally.scenario.name: tally for tally in tallies}
    parts: list[RenderableType] = [Text(line) for line in _headlines(by_name)]
    parts.append(_table(tallies))
    parts += [Text(f"{tally.scenario.name}: {_effects(simulated, tally)}") for tally in tallies[1:]]
    parts += [Text(line) for line in _notes(simulated, runs)]
    return Group(*parts)


def _headlines(by_name: dict[str, Tally]) -> list[str]:
    without, least = by_name[NO_EFFECT], by_name[MINIMUM_EFFECT]
    arm = least.scenario.arm
    return [
        f"Without an effect a trial ships in {_rate(without.decisions[Ruling.SHIP])} (false positives).",
        f"With the minimum effect it ships {arm} in {_rate(least.shipped[arm])} (power).",
    ]


def _rate(rate: Rate) -> str:
    """`2.4% (1.8-3.2)`."""
    interval = rate.interval
    return f"{_percent(rate.share)}% ({_percent(interval.low)}-{_percent(interval.high)})"


def _percent(share: float) -> str:
    """Three digits, or two after the point."""
    return f"{100 * share:.3g}" if share >= 0.1 else f"{round(100 * share, 2):g}"


def _table(tallies: Sequence[Tally]) -> Table:
    table = Table()
    table.add_column("", no_wrap=True)
    for tally in tallies:
        table.add_column(tally.scenario.name, justify="right", no_wrap=True)
    for ruling in _RULINGS:
        table.add_row(ruling.value, *(_rate(tally.decisions[ruling]) for tally in tallies))
    arms = tallies[0].shipped
    if len(arms) > 1:
        for arm in arms:
            table.add_row(Text(f"ship {arm}"), *(_rate(tally.shipped[arm]) for tally in tallies))
    days = [f"{t.days.value:.1f} \u00b1 {1.96 * t.days.error:.2f}" for t in tallies]
    table.add_row("days on average", *days)
    table.add_row("95% end within", *(f"{t.days.highest:.1f} days" for t in tallies))
    units = [f"{t.units.value:,.0f} \u00b1 {1.96 * t.units.error:,.0f}" for t in tallies]
    table.add_row("units on average", *units)
    return table


def _effects(simulated: Simulated, tally: Tally) -> str:
    said = []
    for metric, effect in tally.scenario.effects.items():
        values = simulated.values[metric]
        said.append(f"{metric} {shown_effect(effect, values.metric.kind)}")
    return f"{', '.join(said)} in {tally.scenario.arm}"


def _notes(simulated: Simulated, runs: int) -> list[str]:
    experiment, rule = simulated.experiment, simulated.experiment.decision
    notes = [f"{runs:,} trials each; in brackets, what more of them could show (95%)."]
    if rule.method is Method.SEQUENTIAL:
        every, most = simulated.every / DAY, simulated.horizon / DAY
        often = "each day" if every == 1 else f"every {every:.3g} days"
        notes.append(f"Looked at {often}, and given up as `wait` after {most:.1f} days.")
    if len(experiment.treatments()) > 1:
        notes.append("The other arms are as control.")
    if any(v.metric.kind is MetricKind.QUANTILE for v in simulated.values.values()):
        notes.append("Quantiles are drawn as normal, with the error that the flags say.")
    if any(v.metric.cap is not None for v in simulated.values.values()):
        notes.append("Caps are not applied: baseline and sd are those of capped values.")
    if any(split.cohort is not None for split in experiment.splits):
        notes.append("All units are in the default cohort.")
    return notes


def document(job: Job, tallies: Sequence[Tally], runs: int) -> dict[str, Any]:
    """For `--json`; shares with Wilson's interval at 95%, means with their standard error."""
    simulated = job.simulated()
    rule = simulated.experiment.decision
    return {
        "plan": job.digest,
        "experiment": job.experiment,
        "method": rule.method.value,
        "runs": runs,
        "seed": job.seed,
        "units_per_day": job.units_per_day,
        "days_at_most": simulated.horizon / DAY,
        "days_between_looks": simulated.every / DAY if rule.method is Method.SEQUENTIAL else None,
        "scenarios": [_scenario(tally) for tally in tallies],
    }


def _scenario(tally: Tally) -> dict[str, Any]:
    return {
        "name": tally.scenario.name,
        "arm": tally.scenario.arm,
        "effects": dict(tally.scenario.effects),
        "decisions": {ruling.value: _share(tally.decisions[ruling]) for ruling in _RULINGS},
        "shipped": {arm: _share(rate) for arm, rate in tally.shipped.items()},
        "days": {"mean": tally.days.value, "error": tally.days.error, "p95": tally.days.highest},
        "units": {"mean": tally.units.value, "error": tally.units.error, "p95": tally.units.highest},
    }


def _share(rate: Rate) -> dict[str, float]:
    interval = rate.interval
    return {"count": rate.count, "share": rate.share, "low": interval.low, "high": interval.high}
