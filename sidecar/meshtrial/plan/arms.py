"""The `arms` of an experiment: their shares and where they lead."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from meshtrial.plan.cursor import Cursor, check_name
from meshtrial.plan.headers import read_arm_headers
from meshtrial.plan.model import DEFAULT_COHORT, Arm
from meshtrial.plan.problems import Rule
from meshtrial.plan.traffic import Cohort
from meshtrial.plan.tree import Mapping as MappingNode

REQUIRED = ("weight",)
OPTIONAL = ("cluster", "headers")

_CLUSTER = re.compile(r"[!-~]{1,255}")

Weights = Mapping[str, Decimal]
"""Percentages by cohort, `default` among them."""


@dataclass(frozen=True, slots=True)
class WeighedArm:
    """An arm, and its share of each cohort in buckets."""

    arm: Arm
    widths: Mapping[str, int]
    """By cohort, `default` among them."""


def read_arms(
    cursor: Cursor, buckets: int | None, carriers: frozenset[str], cohorts: Mapping[str, Cohort | None]
) -> dict[str, WeighedArm | None]:
    """Read all arms by id, in document order; None stands for one with problems.

    Args:
        cursor: The mapping.
        buckets: Of the experiment, None where that is not valid.
        carriers: Headers that carry the unit: no arm may set them.
        cohorts: Those that a weight may name.
    """
    entries = cursor.entries()
    if len(entries) == 1:
        cursor.fail(Rule.ARMS_COUNT, "at least two arms are needed, one of them control")
    read = {key: _arm(key, entry, buckets, carriers, cohorts) for key, entry in entries.items()}
    weights = [weight for weight, _ in read.values() if weight is not None]
    if read and len(weights) == len(read):
        _check_sums(cursor, weights)
    arms = {key: arm for key, (_, arm) in read.items()}
    leads = {arm.arm.cluster is not None for arm in arms.values() if arm is not None}
    if len(leads) == 2:
        cursor.fail(Rule.CLUSTER_SOME, "either every arm names a `cluster`, or none does")
    return arms


def _check_sums(cursor: Cursor, weights: list[Weights]) -> None:
    for cohort in sorted({cohort for of_arm in weights for cohort in of_arm}):
        total = sum(Fraction(of_arm.get(cohort, of_arm[DEFAULT_COHORT])) for of_arm in weights)
        if total != 100:
            where = "" if cohort == DEFAULT_COHORT else f" of cohort `{cohort}`"
            shown = f"{float(total):g}"
            cursor.fail(Rule.WEIGHTS_SUM, f"the arms' weights{where} must sum to 100, not {shown}")


def _arm(
    key: str,
    cursor: Cursor,
    buckets: int | None,
    carriers: frozenset[str],
    cohorts: Mapping[str, Cohort | None],
) -> tuple[Weights | None, WeighedArm | None]:
    """The weights are read even where the arm is not valid: their sum is a rule of its own."""
    fields = cursor.fields(REQUIRED, OPTIONAL)
    named = check_name(key, cursor)
    weights = fields.read("weight", lambda c: _weights(c, cohorts))
    widths = _widths(fields["weight"], weights, buckets) if weights is not None and buckets else None
    cluster = fields.read("cluster", _cluster)
    headers = fields.read("headers", lambda c: read_arm_headers(c, carriers)) or ()
    if not named or widths is None or ("cluster" in fields and cluster is None):
        return weights, None
    return weights, WeighedArm(Arm(key, cluster, headers), widths)


def _weights(cursor: Cursor, cohorts: Mapping[str, Cohort | None]) -> Weights | None:
    if not isinstance(cursor.node, MappingNode):
        weight = _weight(cursor)
        return None if weight is None else {DEFAULT_COHORT: weight}
    fields = cursor.fields((DEFAULT_COHORT,), tuple(cohorts))
    read = {key: _weight(place) for key, place in fields.present.items()}
    found = {key: weight for key, weight in read.items() if weight is not None}
    return found if fields.sound and DEFAULT_COHORT in found and len(found) == len(read) else None


def _weight(cursor: Cursor) -> Decimal | None:
    weight = cursor.number()
    if weight is not None and not 0 <= weight <= 100:
        cursor.fail(Rule.RANGE, f"a weight is a percentage from 0 to 100, not {weight}")
        return None
    return weight


def _widths(cursor: Cursor, weights: Weights, buckets: int) -> dict[str, int] | None:
    widths: dict[str, int] = {}
    for cohort, weight in weights.items():
        width = Fraction(weight) * buckets / 100
        if width.denominator != 1:
            found = f"{(weight * buckets / 100).normalize():,f}"
            message = f"a weight must fall on a whole bucket: {weight}% of {buckets:,} is {found}"
            cursor.fail(Rule.WEIGHT_BUCKET, message)
            return None
        widths[cohort] = int(width)
    return widths


def _cluster(cursor: Cursor) -> str | None:
    text = cursor.text()
    if text is None or _CLUSTER.fullmatch(text):
        return text
    cursor.fail(Rule.CLUSTER_NAME, "a cluster's name is 1 to 255 visible ASCII characters")
    return None
