"""Shares, effects and numbers as flags give them."""

import math

from meshtrial.errors import SettingError
from meshtrial.plan import scalars
from meshtrial.plan.inference import MetricKind, Scale


def share(flag: str, text: str) -> float:
    """`12%` or `0.12` -> 0.12; whether it is in range, the statistics say.

    Raises:
        SettingError: It is neither; so in all of these.
    """
    found = scalars.percentage(text.strip())
    if found is not None:
        return float(found)
    read = _number(text)
    if read is None:
        raise SettingError(f"{flag} must be a percentage such as 12%, or a share such as 0.12, not {text}")
    return read


def number(flag: str, text: str, example: str) -> float:
    """A finite number."""
    read = _number(text)
    if read is None:
        raise SettingError(f"{flag} must be a number such as {example}, not {text}")
    return read


def effect(flag: str, text: str, kind: MetricKind, baseline: float) -> float:
    """A change with its sign, in the metric's unit: `2pp`, `-10% relative`, of all but a proportion `0.1`."""
    sign, size_text = _signed(text)
    value, is_relative = amount(flag, size_text, kind, baseline, text)
    if not is_relative:
        return sign * value
    if not baseline:
        raise SettingError(f"{flag} {text} is a share of --baseline, which must be given and not be 0")
    return sign * value * baseline


def amount(
    flag: str, text: str, kind: MetricKind, baseline: float, whole: str | None = None
) -> tuple[float, bool]:
    """An effect above 0: in the metric's unit, or as a share of control's value where the second is True."""
    whole = text if whole is None else whole
    if kind is MetricKind.PROPORTION and (bare := scalars.percentage(text)) is not None:
        sign = -1 if whole.strip().startswith("-") else 1
        points, relative = baseline + sign * float(bare), baseline * (1 + sign * float(bare))
        raise SettingError(
            f"{flag} {whole} may mean two things: write {whole.replace('%', 'pp')} for {percent(baseline)}"
            f" to {percent(points)}, or '{whole} relative' for {percent(baseline)} to {percent(relative)}"
        )
    found = scalars.effect(text)
    points_fit = kind in {MetricKind.PROPORTION, MetricKind.RATIO}
    plain_fits = kind is not MetricKind.PROPORTION
    if found is not None:
        least, in_points = found
        if least.scale is Scale.RELATIVE or (points_fit if in_points else plain_fits):
            return least.value, least.scale is Scale.RELATIVE
    example = "2pp" if kind is MetricKind.PROPORTION else "0.1"
    raise SettingError(
        f"{flag} of a {kind} must be such as {example} or '10% relative', and not 0: it is {whole}"
    )


def percent(part: float) -> str:
    """0.12 -> `12%`."""
    return f"{100 * part:.6g}%"


def _signed(text: str) -> tuple[int, str]:
    """A plan's effects have a direction beside them; here a minus sign gives it."""
    bare = text.strip()
    return (-1, bare[1:].strip()) if bare.startswith("-") else (1, bare)


def _number(text: str) -> float | None:
    try:
        read = float(text)
    except ValueError:
        return None
    return read if math.isfinite(read) else None
