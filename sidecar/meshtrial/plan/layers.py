"""The `layers` section, and an experiment's `slice` of one."""

from decimal import Decimal

from meshtrial.plan.bucketing import HASHING, read_bucketing
from meshtrial.plan.cursor import Cursor, check_name
from meshtrial.plan.model import Bucketing, Layer
from meshtrial.plan.problems import Rule, shown
from meshtrial.plan.scalars import percentage
from meshtrial.plan.tree import Sequence
from meshtrial.plan.units import read_unit

REQUIRED = ("unit",)
OPTIONAL = ("holdout", *HASHING)
PERCENTAGE_FORM = "a percentage such as 12.5%"


def read_layers(cursor: Cursor) -> dict[str, Layer | None]:
    """All layers by id; None stands for one with problems."""
    entries = cursor.entries()
    layers = {key: _layer(key, entry) for key, entry in entries.items()}
    owners: dict[str, str] = {}
    for key, layer in layers.items():
        other = owners.setdefault(layer.bucketing.salt, key) if layer else key
        if other != key:
            message = f"has the same salt as the layer {shown(other)}: their slices would be correlated"
            entries[key].fail(Rule.SALTS_EQUAL, message)
    return layers


def _layer(key: str, cursor: Cursor) -> Layer | None:
    fields = cursor.fields(REQUIRED, OPTIONAL)
    named = check_name(key, cursor)
    unit = fields.read("unit", read_unit)
    bucketing = read_bucketing(fields, default_salt=key)
    holdout = 0
    if "holdout" in fields and bucketing is not None:
        found = _boundary(fields["holdout"], bucketing)
        if found is None:
            return None
        if found == bucketing.buckets:
            fields["holdout"].fail(Rule.RANGE, "a holdout of 100% leaves nobody to try anything on")
        holdout = found
    if unit is not None and unit.switchback is not None:
        message = "a layer shares out units; a switchback splits time, so it stands in an experiment alone"
        fields["unit"].fail(Rule.UNIT_KIND, message)
        return None
    if not named or unit is None or bucketing is None:
        return None
    return Layer(key, unit, bucketing, holdout)


def read_slice(cursor: Cursor, layer: Layer) -> tuple[int, int] | None:
    """`[0%, 50%]` -> first bucket of the layer that is not held out, and the one after the last."""
    if not isinstance(cursor.node, Sequence) or len(cursor.node.items) != 2:
        cursor.fail(Rule.SLICE, "a slice is a list of two percentages, such as [0%, 50%]")
        return None
    start, end = (_boundary(item, layer.bucketing) for item in cursor.items())
    if start is None or end is None:
        return None
    if end <= max(start, layer.holdout):
        message = "holds nobody: it must end after it begins"
        if end > start:
            message = f"holds nobody: all of it lies within the holdout of layer `{layer.id}`"
        cursor.fail(Rule.SLICE, message)
        return None
    return max(start, layer.holdout), end


def _boundary(cursor: Cursor, bucketing: Bucketing) -> int | None:
    share = cursor.parsed(percentage, Rule.PERCENTAGE, PERCENTAGE_FORM)
    if share is None:
        return None
    if share > 1:
        cursor.fail(Rule.PERCENTAGE, "a share of a layer is at most 100%")
        return None
    buckets = share * bucketing.buckets
    if buckets % 1:
        found = f"{buckets.normalize():,f}"
        message = f"must fall on a whole bucket: {_shown(share)} of {bucketing.buckets:,} is {found}"
        cursor.fail(Rule.PERCENTAGE, message)
        return None
    return int(buckets)


def _shown(share: Decimal) -> str:
    return f"{(share * 100).normalize():f}%"
