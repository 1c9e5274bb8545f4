"""What flags suppose of metrics: `--baseline conversion=12%`, or of the only one `--baseline 12%`."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, TypeAlias

import typer

from meshtrial.cli.amounts import effect, number, share
from meshtrial.errors import SettingError
from meshtrial.plan.inference import Metric, MetricKind
from meshtrial.plan.problems import printable, suggestion
from meshtrial.stats.clusters import Likeness
from meshtrial.stats.size_supposed import Supposed, lognormal_density, quantile_sd

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


def supposed(metric: str, kind: MetricKind, q: float | None, texts: Texts) -> Supposed:
    """What is supposed of a metric.

    Args:
        metric: Its id, or `ONLY`.
        kind: Its kind.
        q: Of a quantile.
        texts: What the flags say.

    Raises:
        SettingError: A flag is missing, or is no number.
        ValueError: A number is out of range.
    """

    def read(flag: str, values: Mapping[str, str], example: str) -> float | None:
        text = values.get(metric)
        return None if text is None else number(_of(flag, metric), text, example)

    baseline = _baseline(metric, kind, texts)
    sd = _spread(metric, texts)
    dispersion = read("--dispersion", texts.dispersion, "1.5")
    if kind is MetricKind.QUANTILE and sd is None:
        density = read("--density", texts.density, "0.002")
        median = read("--median", texts.median, "80")
        if q is None or (density is None) == (median is None):
            raise SettingError(f"a quantile takes either {_of('--median', metric)} or --density")
        if density is None:
            density = lognormal_density(q, baseline, median or 0.0)
        alike = share("--event-icc", texts.event_icc.get(metric, "0"))
        sd = quantile_sd(q, density, read("--events", texts.events, "12") or 1.0, alike)
    if sd is None and kind in {MetricKind.MEAN, MetricKind.RATIO}:
        raise SettingError(f"{_of('--sd', metric)} must be given: how far units of a {kind} vary")
    removed = share(_of("--removed", metric), texts.removed.get(metric, "0"))
    return Supposed(kind, baseline, sd, 1.0 if dispersion is None else dispersion, removed)


def _baseline(metric: str, kind: MetricKind, texts: Texts) -> float:
    flag, text = _of("--baseline", metric), texts.baseline.get(metric)
    if kind is MetricKind.PROPORTION or (kind is MetricKind.RATIO and text is not None and "%" in text):
        return share(flag, text or "left out")
    if text is None:
        if kind in {MetricKind.COUNT, MetricKind.QUANTILE}:
            raise SettingError(f"{flag} must be given for a {kind}: control's value, such as 3.2")
        return 0.0
    return number(f"{flag} of a {kind}" if metric == ONLY else flag, text, "3.2")


def _spread(metric: str, texts: Texts) -> float | None:
    """Any number: whether it is in range, the statistics say."""
    text = texts.sd.get(metric)
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        raise SettingError(f"{_of('--sd', metric)} must be a number such as 30, not {text}") from None


def expected(metric: str, supposed: Supposed, texts: Texts) -> float | None:
    """The effect that `--effect` gives, in the metric's unit; None where it does not."""
    text = texts.effect.get(metric)
    return None if text is None else effect(_of("--effect", metric), text, supposed.kind, supposed.baseline)


def alike(metric: str, texts: Texts, size: float | None, variation: str | None) -> Likeness | None:
    """How alike members of a group are; None where nothing is said of groups.

    Args:
        metric: Its id, or `ONLY`.
        texts: What the flags say.
        size: Mean members of a group.
        variation: Their standard deviation as a share of the mean.

    Raises:
        SettingError: Only one of both is given, or a number is out of range.
    """
    icc = texts.icc.get(metric)
    if icc is None and size is None:
        return None
    if icc is None or size is None:
        raise SettingError(f"groups take both {_of('--icc', metric)} and --group-size")
    found = share(_of("--icc", metric), icc)
    varying = share("--group-size-variation", variation or "0")
    if not (0 <= found <= 1 and size >= 1 and varying >= 0):
        raise SettingError("--icc must be from 0 to 1, --group-size 1 or more, their variation 0 or more")
    return Likeness(found, size, varying)


def metrics_of(metrics: Sequence[Metric], texts: Texts) -> dict[str, Supposed]:
    """What is supposed of each metric of a plan.

    Raises:
        SettingError: A flag is missing, or says what cannot be.
    """
    found: dict[str, Supposed] = {}
    for metric in metrics:
        try:
            found[metric.id] = supposed(metric.id, metric.kind, metric.q, texts)
        except ValueError as error:
            raise SettingError(f"{metric.id}: {error}") from error
    return found


def _of(flag: str, metric: str) -> str:
    return f"{flag} of {metric}" if metric else flag
