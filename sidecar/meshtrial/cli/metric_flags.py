"""What flags suppose of metrics: `--baseline conversion=12%`, or of the only one `--baseline 12%`."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, TypeAlias

import typer

from meshtrial.errors import SettingError
from meshtrial.plan.problems import printable, suggestion

ONLY = ""
"""Stands for a metric's id where there is but one, and it has none."""
_PANEL = "About metrics (of a plan: METRIC=VALUE, as often as needed)"


def _option(flag: str, meaning: str) -> object:
    return typer.Option(flag, help=meaning, rich_help_panel=_PANEL, metavar="VALUE", show_default=False)


_Texts: TypeAlias = list[str] | None
Baseline = Annotated[_Texts, _option("--baseline", "Control's value: 12%, for a mean a plain number.")]
Sd = Annotated[
    _Texts,
    _option(
        "--sd",
        "Standard deviation between units; without a plan it says that the metric is a mean. "
        "Of a ratio R: of (numerator - R x denominator) / mean denominator.",
    ),
]
Effect = Annotated[
    _Texts,
    _option("--effect", "Smallest effect worth finding: 2pp, '10% relative', for a mean a plain number too."),
]
SimulatedEffect = Annotated[
    _Texts,
    _option("--effect", "A true effect in the first arm but control, of a scenario of its own: -0.5pp."),
]
ShapeOption = Annotated[_Texts, _option("--shape", "Of a mean: lognormal values rather than normal ones.")]
Dispersion = Annotated[
    _Texts, _option("--dispersion", "Of a count: its variance by its mean; Poisson's 1 if left out.")
]
Removed = Annotated[
    _Texts, _option("--removed", "Share of the variance that covariates remove (r squared): 30%.")
]
Median = Annotated[_Texts, _option("--median", "Of a quantile: the median, if events are lognormal.")]
Density = Annotated[_Texts, _option("--density", "Of a quantile: the density there, if they are not.")]
Events = Annotated[_Texts, _option("--events", "Of a quantile: a unit's events on average; 1 if left out.")]
EventIcc = Annotated[
    _Texts, _option("--event-icc", "Of a quantile: how alike events of one unit are, 0 to 1.")
]
Icc = Annotated[_Texts, _option("--icc", "Of groups: intraclass correlation, how alike members are.")]


@dataclass(frozen=True, slots=True)
class Texts:
    """Values by metric, `ONLY` where it has no name, as they were given."""

    baseline: Mapping[str, str] = field(default_factory=dict)
    sd: Mapping[str, str] = field(default_factory=dict)
    effect: Mapping[str, str] = field(default_factory=dict)
    dispersion: Mapping[str, str] = field(default_factory=dict)
    removed: Mapping[str, str] = field(default_factory=dict)
    median: Mapping[str, str] = field(default_factory=dict)
    density: Mapping[str, str] = field(default_factory=dict)
    events: Mapping[str, str] = field(default_factory=dict)
    event_icc: Mapping[str, str] = field(default_factory=dict)
    icc: Mapping[str, str] = field(default_factory=dict)
    shape: Mapping[str, str] = field(default_factory=dict)


def texts_of(given: Mapping[str, Sequence[str] | None], metrics: Collection[str]) -> Texts:
    """All flags about metrics.

    Args:
        given: What each flag said, by its name.
        metrics: As in `by_metric`.

    Raises:
        SettingError: As in `by_metric`.
    """
    read = {flag: by_metric(flag, values, metrics) for flag, values in given.items()}
    return Texts(**{flag.removeprefix("--").replace("-", "_"): values for flag, values in read.items()})


def by_metric(flag: str, values: Sequence[str] | None, metrics: Collection[str]) -> dict[str, str]:
    """What a flag says of each metric.

    Args:
        flag: For the message.
        values: As given.
        metrics: Ids that may stand before `=`; `ONLY` alone where there is one without a name.

    Raises:
        SettingError: A value has no metric, an unknown one, or one that had a value.
    """
    found: dict[str, str] = {}
    named = set(metrics) != {ONLY}
    for value in values or ():
        metric, equals, text = value.partition("=") if named else (ONLY, "=", value)
        if not equals:
            raise SettingError(f"{flag} must be METRIC=VALUE, such as {min(metrics)}={value}, not {value}")
        if metric not in metrics:
            near = suggestion(metric, list(metrics)) or f"; there is {', '.join(sorted(metrics))}"
            raise SettingError(f"{flag} {printable(value)}: the decision has no metric `{metric}`{near}")
        if metric in found:
            raise SettingError(f"{flag} is given twice" + (f" for {metric}" if metric else ""))
        found[metric] = text
    return found
