"""A layer -> who owns which of its buckets."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from meshtrial.plan.model import Layer, Plan


@dataclass(frozen=True, slots=True)
class Owned:
    """Consecutive buckets of a layer."""

    experiments: tuple[str, ...]
    """Whose slice they are in: several only where no request is in two of them; none of holdout and free."""
    holdout: bool
    start: int
    end: int
    """Exclusive; above `start`."""
    share: Fraction
    """Of the layer."""


def owners_of(layer: Layer, plan: Plan) -> tuple[Owned, ...]:
    """All buckets of a layer, in order: its holdout, slices, and what is free between them."""
    slices = [
        (max(e.slice[0], layer.holdout), e.slice[1], e.id)
        for e in plan.experiments
        if e.layer is not None and e.layer.id == layer.id
    ]
    buckets = layer.bucketing.buckets
    edges = sorted({0, layer.holdout, buckets, *(edge for start, end, _ in slices for edge in (start, end))})
    return tuple(
        Owned(
            tuple(name for first, last, name in slices if first <= start and end <= last),
            end <= layer.holdout,
            start,
            end,
            Fraction(end - start, buckets),
        )
        for start, end in pairwise(edges)
    )
