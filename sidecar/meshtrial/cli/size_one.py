"""`meshtrial size` of one metric, all of it from flags."""

import math
from dataclasses import dataclass, replace

from meshtrial.cli.amounts import amount, percent, share
from meshtrial.cli.metric_flags import ONLY, Texts
from meshtrial.cli.metric_supposed import alike, expected, supposed
from meshtrial.cli.size_words import (
    Answer,
    curve_document,
    curve_table,
    duration_line,
    effect_words,
    looks_line,
)
from meshtrial.errors import SettingError
from meshtrial.plan.inference import Boundary, Direction, Method, MetricKind, Shape
from meshtrial.stats.clusters import Likeness
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.size import duration_days, round_up
from meshtrial.stats.size_conventions import Convention, conventional_size
from meshtrial.stats.size_looks import Looks, boundary_looks, one_look, sequence_looks
from meshtrial.stats.size_sought import Sought
from meshtrial.stats.size_supposed import Supposed
from meshtrial.stats.size_trial import SHARES, Sized


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, as given."""

    texts: Texts
    kind: MetricKind | None
    quantile: str | None
    power: str
    alpha: str
    arms: int
    control_share: str | None
    primaries: int
    guardrails: int
    margin: str | None
    require_above: str | None
    direction: Direction
    group_size: float | None
    group_size_variation: str | None
    method: Method
    looks: int | None
    spending: Shape
    futility: Shape | None
    units: int | None
    units_per_day: float | None
    conventions: bool
    curve: bool


def answer(question: Question) -> Answer:
    """Size, power or what can be found.

    Raises:
        SettingError: A flag is missing, or is not what it must be.
        ValueError: What is asked for has no answer.
    """
    asked = _Asked.of(question)
    sized, given = asked.sized, question.units
    if not asked.finds:
        found = sized.detectable_with(given or 0, asked.sign)
        if isinstance(found, NotEstimable):
            raise ValueError(found.reason)
        asked = asked.with_effect(found)
        sized = asked.sized
    control, treatment, planned = asked.units() if given is None else asked.shared(given)
    part = 1.0 if given is None else given / sized.units
    power = asked.power if given is None else sized.power_with(given)
    days = None if question.units_per_day is None else duration_days(planned, question.units_per_day)
    points = sized.curve([planned * part for part in SHARES])
    conventions = asked.conventions() if question.conventions else {}
    document = {
        "control_units": control,
        "treatment_units": treatment,
        "planned_units": planned,
        "days": days,
        "alpha_per_arm": sized.alpha,
        "effect": sized.sought.effect,
        "power": None if isinstance(power, NotEstimable) else power,
        "method": question.method.value,
        "looks": len(sized.looks.times),
        "inflation": sized.looks.most,
        "expected_units_without_effect": planned * sized.looks.mean_time(0.0),
        "expected_units_with_effect": planned * sized.looks.mean_time(part),
        "design_effect": sized.sought.inflation,
        "groups": None if asked.clusters is None else planned / asked.clusters.size,
        "conventions": conventions or None,
        "curve": curve_document(points, question.units_per_day),
    }
    lines = [
        asked.units_line(control, treatment, planned),
        *duration_line(days, question.units_per_day),
        *([] if given is None else [asked.found_line(given, power)]),
        asked.how(),
        *looks_line(question.method, sized.looks, planned, part),
        *asked.groups_line(planned),
        *(f"{name}: {value:,.1f} in each of two equal arms" for name, value in conventions.items()),
    ]
    tables = (curve_table(points, question.units_per_day, asked.supposed.kind),) if question.curve else ()
    return Answer(tuple(lines), tables, document)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The question as numbers."""

    question: Question
    supposed: Supposed
    clusters: Likeness | None
    sized: Sized
    alpha: float
    power: float
    finds: bool
    """Whether the effect is given; else it is what is asked for."""

    @property
    def sign(self) -> int:
        """Which way is better."""
        return -1 if self.question.direction is Direction.DOWN else 1

    @classmethod
    def of(cls, question: Question) -> "_Asked":
        texts = question.texts
        kind = question.kind or (MetricKind.MEAN if ONLY in texts.sd else MetricKind.PROPORTION)
        q = None if question.quantile is None else share("--quantile", question.quantile)
        alpha, power = share("--alpha", question.alpha), share("--power", question.power)
        ratio = _ratio(question.control_share, question.arms)
        metric = supposed(ONLY, kind, q, texts)
        effect = expected(ONLY, metric, texts)
        finds = effect is not None or question.margin is not None
        if not finds and question.units is None:
            raise SettingError("--effect must be given; or --units, to ask what effect they find")
        clusters = alike(ONLY, texts, question.group_size, question.group_size_variation)
        beyond, relative = _tested(question, kind, metric.baseline)
        sign = -1 if question.direction is Direction.DOWN else 1
        sought = Sought(metric, effect or 0.0, beyond, relative, ratio, clusters)
        if beyond and sign * sought.gap <= 0 and finds:
            raise SettingError("--effect must lie beyond --require-above, or within --margin, by --direction")
        each = alpha if question.margin is not None else alpha / (question.arms * question.primaries)
        own = 1 - (1 - power) / (question.guardrails + 1) if question.guardrails else power
        looks = _looks(question, each, own)
        sized = Sized(sought, each, own, looks, 1 / (1 + question.arms * ratio))
        return cls(question, metric, clusters, sized, alpha, own, finds)

    def with_effect(self, effect: float) -> "_Asked":
        return replace(self, sized=replace(self.sized, sought=replace(self.sized.sought, effect=effect)))

    def units(self) -> tuple[int, int, int]:
        """Of control, of each treatment arm, of all arms: whole, and whole groups where these are."""
        sized = self.sized
        exact = sized.units * sized.control_share
        each = self.clusters.size if self.clusters is not None else 1.0
        control, treatment = (
            round_up(round_up(units / each) * each) for units in (exact, exact * sized.sought.ratio)
        )
        return control, treatment, control + self.question.arms * treatment

    def shared(self, units: int) -> tuple[int, int, int]:
        """The same of a given number of units."""
        control = round(units * self.sized.control_share)
        return control, (units - control) // self.question.arms, units

    def conventions(self) -> dict[str, float]:
        kind, sought = self.supposed.kind, self.sized.sought
        if kind is not MetricKind.PROPORTION or sought.beyond:
            raise SettingError("--conventions are of proportions, without a margin")
        return {
            convention.value: conventional_size(
                convention, self.supposed.baseline, sought.effect, self.sized.alpha, self.power
            )
            for convention in Convention
        }

    def units_line(self, control: int, treatment: int, planned: int) -> str:
        per_arm = f"{control:,} per arm"
        if control != treatment:
            others = "in treatment" if self.question.arms == 1 else "in each treatment arm"
            per_arm = f"{control:,} in control, {treatment:,} {others}"
        what = "(the plan's decision.planned_units)" if self.question.units is None else "(as given)"
        return f"{per_arm}: {planned:,} units in all {what}"

    def found_line(self, units: int, power: float | NotEstimable) -> str:
        if isinstance(power, NotEstimable):
            return f"{units:,} units have no power that can be told: {power.reason}"
        if self.finds:
            return f"{units:,} units find it with a power of {100 * power:.1f}%"
        found = effect_words(self.sized.sought.effect, self.supposed.kind)
        relative = ""
        if self.supposed.baseline:
            relative = f", {100 * self.sized.sought.effect / self.supposed.baseline:.3g}% of the baseline"
        return f"{units:,} units find {found}{relative}"

    def how(self) -> str:
        question, sought, alpha = self.question, self.sized.sought, self.alpha
        baseline, effect = self.supposed.baseline, sought.effect
        tested = _tested_words(question)
        if self.supposed.kind is MetricKind.PROPORTION and self.clusters is None and not sought.relative:
            test = "score test (Farrington-Manning)" if sought.beyond else "z test, pooled"
            said = f"Two-proportion {test}: {percent(baseline)} against {percent(baseline + effect)}{tested}"
        else:
            sd = math.sqrt(self.supposed.variance(baseline))
            said = f"t test: a change of {effect:.6g} at a standard deviation of {sd:.6g}{tested}"
        if self.supposed.removed:
            said += f", covariates remove {percent(self.supposed.removed)} of the variance"
        asks_power = question.units is not None and self.finds
        said += "" if asks_power else f", power {percent(self.power)}"
        if question.guardrails and not asks_power:
            metrics = f"{question.guardrails + 1} metrics"
            said += f" (beta {percent(1 - share('--power', question.power))} shared by {metrics})"
        if question.margin is not None:
            return f"{said}, one-sided alpha {percent(alpha / 2)}"
        said += f", two-sided alpha {percent(alpha)}"
        several = []
        if question.arms > 1:
            several.append(f"{question.arms} treatment arms")
        if question.primaries > 1:
            several.append(f"{question.primaries} primary metrics")
        if several:
            said += f" shared by {' and '.join(several)} ({percent(self.sized.alpha)} each, Bonferroni)"
        return said

    def groups_line(self, planned: int) -> tuple[str, ...]:
        if self.clusters is None:
            return ()
        groups = round_up(planned / self.clusters.size)
        effect = self.sized.sought.inflation
        return (f"{groups:,} groups of {self.clusters.size:g} units; design effect {effect:.4g}",)


def _tested(question: Question, kind: MetricKind, baseline: float) -> tuple[float, bool]:
    """What the effect must lie beyond; a share where the second is True."""
    sign = -1 if question.direction is Direction.DOWN else 1
    if question.margin is not None and question.require_above is not None:
        raise SettingError("--margin is of a guardrail, and --require-above of a primary: give one of them")
    if question.margin is not None:
        value, relative = amount("--margin", question.margin, kind, baseline)
        signed = -sign * value
    elif question.require_above is not None:
        value, relative = amount("--require-above", question.require_above, kind, baseline)
        signed = sign * value
    else:
        return 0.0, False
    if relative and not baseline:
        raise SettingError("a share of --baseline needs a baseline that is not 0")
    return (math.copysign(value, signed * baseline) if relative else signed), relative


def _tested_words(question: Question) -> str:
    worse = "below" if question.direction is Direction.UP else "above"
    if question.margin is not None:
        return f", shown not to be {question.margin} {worse} control"
    if question.require_above is not None:
        better = "above" if question.direction is Direction.UP else "below"
        return f", shown to be {question.require_above} {better} control"
    return ""


def _looks(question: Question, alpha: float, power: float) -> Looks:
    if question.method is Method.FIXED:
        if question.looks is not None or question.futility is not None:
            raise SettingError("--looks and --futility need --method group_sequential or sequential")
        return one_look(alpha, power)
    count = question.looks or (5 if question.method is Method.GROUP_SEQUENTIAL else 14)
    times = [(look + 1) / count for look in range(count)]
    if question.method is Method.SEQUENTIAL:
        return sequence_looks(alpha, power, times)
    futility = None if question.futility is None else Boundary(question.futility)
    return boundary_looks(Boundary(question.spending), alpha, power, times, futility)


def _ratio(control_share: str | None, arms: int) -> float:
    """Units of a treatment arm for each of control's."""
    if control_share is None:
        return 1.0
    part = share("--control-share", control_share)
    if not 0 < part < 1:
        raise SettingError(f"--control-share must be above 0% and below 100%, not {control_share}")
    return (1 - part) / part / arms
