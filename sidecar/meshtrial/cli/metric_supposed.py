"""What is supposed of metrics, of what flags say: numbers, in each metric's unit.

Apart from `metric_flags`, which every command loads: this needs the statistics.
"""

from collections.abc import Mapping, Sequence

from meshtrial.cli.amounts import effect, number, share
from meshtrial.cli.metric_flags import ONLY, Texts
from meshtrial.errors import SettingError
from meshtrial.plan.inference import Metric, MetricKind
from meshtrial.stats.clusters import Likeness
from meshtrial.stats.size_supposed import Supposed, lognormal_density, quantile_sd


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
