"""The `arms` of an experiment: their shares and where they lead."""

import re
from decimal import Decimal
from fractions import Fraction

from meshtrial.plan.cursor import Cursor, check_name
from meshtrial.plan.headers import read_arm_headers
from meshtrial.plan.model import Arm
from meshtrial.plan.problems import Rule

REQUIRED = ("weight", "cluster")
OPTIONAL = ("headers",)

_CLUSTER = re.compile(r"[!-~]{1,255}")


def read_arms(cursor: Cursor, buckets: int | None, unit_header: str | None) -> dict[str, Arm | None]:
    """Read all arms by id, in document order; None stands for one with problems."""
    entries = cursor.entries()
    if len(entries) == 1:
        cursor.fail(Rule.ARMS_COUNT, "at least two arms are needed, one of them control")
    read = {key: _arm(key, entry, buckets, unit_header) for key, entry in entries.items()}
    weights = [weight for weight, _ in read.values() if weight is not None]
    if read and len(weights) == len(read) and sum(map(Fraction, weights)) != 100:
        cursor.fail(Rule.WEIGHTS_SUM, f"the arms' weights must sum to 100, not {sum(weights)}")
    return {key: arm for key, (_, arm) in read.items()}


def _arm(
    key: str, cursor: Cursor, buckets: int | None, unit_header: str | None
) -> tuple[Decimal | None, Arm | None]:
    """The weight is read even where the arm is not valid: the sum is a rule of its own."""
    fields = cursor.fields(REQUIRED, OPTIONAL)
    named = check_name(key, cursor)
    weight = fields.read("weight", _weight)
    width = _width(fields["weight"], weight, buckets) if weight is not None and buckets else None
    cluster = fields.read("cluster", _cluster)
    headers = fields.read("headers", lambda c: read_arm_headers(c, unit_header)) or ()
    if not named or width is None or cluster is None:
        return weight, None
    return weight, Arm(key, cluster, headers, width)


def _weight(cursor: Cursor) -> Decimal | None:
    weight = cursor.number()
    if weight is not None and not 0 <= weight <= 100:
        cursor.fail(Rule.RANGE, f"a weight is a percentage from 0 to 100, not {weight}")
        return None
    return weight


def _width(cursor: Cursor, weight: Decimal, buckets: int) -> int | None:
    width = Fraction(weight) * buckets / 100
    if width.denominator == 1:
        return int(width)
    found = f"{(weight * buckets / 100).normalize():,f}"
    message = f"a weight must fall on a whole bucket: {weight}% of {buckets:,} is {found}"
    cursor.fail(Rule.WEIGHT_BUCKET, message)
    return None


def _cluster(cursor: Cursor) -> str | None:
    text = cursor.text()
    if text is None or _CLUSTER.fullmatch(text):
        return text
    cursor.fail(Rule.CLUSTER_NAME, "a cluster's name is 1 to 255 visible ASCII characters")
    return None
