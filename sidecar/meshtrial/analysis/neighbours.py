"""Groups that have neighbours -> what a group's own arm does, and what the arms around it do.

Neighbours are those that its members' requests named, all of them together. A neighbour without units of its
own in the trial has no arm that is known, and counts for nothing. A group without any is left out: how it
differs from groups that have neighbours would pass for what neighbours do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from meshtrial.analysis.blocks import Block, blocks_of
from meshtrial.analysis.caps import unsettled
from meshtrial.analysis.shown import Shown
from meshtrial.analysis.units import exposures
from meshtrial.plan.inference import Metric, MetricKind
from meshtrial.stats.clusters import Clusters
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.interference import Interference, interference


@dataclass(frozen=True, slots=True)
class SpillOver:
    """One metric of one arm."""

    metric: str
    arm: str
    groups: int
    """Of the arm and of control, that have a neighbour whose arm is known."""
    controls: int
    """Of these, control's."""
    left_out: int
    """The other groups of both."""
    found: Interference | NotEstimable


def neighbours_of(shown: Shown) -> Mapping[int, frozenset[int]]:
    """The groups that exposures named as next to a group's own."""
    found: dict[int, set[int]] = {}
    for group, named in shown.engine.rows(f"""
SELECT DISTINCT "Group", Neighbours FROM spans
WHERE {exposures(shown.trial)} AND "Group" IS NOT NULL AND Neighbours IS NOT NULL AND Time < {shown.cut}
"""):
        found.setdefault(int(group), set()).update(int(other) for other in named)
    return {group: frozenset(others - {group}) for group, others in found.items()}


def spill_overs(shown: Shown, alpha: float) -> tuple[SpillOver, ...]:
    """Each primary that is no quantile and has its cap, of each arm.

    Args:
        shown: A trial that randomises groups, and whose plan names neighbours.
        alpha: Two-sided error rate of each interval.
    """
    neighbours = neighbours_of(shown)
    experiment = shown.experiment
    found: list[SpillOver] = []
    for metric in (primary.metric for primary in experiment.decision.primary):
        if metric.kind is MetricKind.QUANTILE or unsettled(metric, shown.gathered, shown.cut) is not None:
            continue
        blocks = blocks_of(shown.engine, shown.trial, shown.columns(metric), shown.cut)
        found += [
            _spill_over(metric, blocks, (experiment.control.id, arm.id), neighbours, alpha)
            for arm in experiment.treatments()
        ]
    return tuple(found)


def _spill_over(
    metric: Metric,
    blocks: Sequence[Block],
    arms: tuple[str, str],
    neighbours: Mapping[int, frozenset[int]],
    alpha: float,
) -> SpillOver:
    """Neighbours count for the arm by their own arm, whichever it is."""
    arm_of = {block.key: block.arm for block in blocks}
    both = [block for block in blocks if block.arm in arms]
    around = {
        block.key: known
        for block in both
        if (known := [arm_of[n] for n in neighbours.get(block.key, ()) if n in arm_of])
    }
    own = [block for block in both if block.key in around]
    if not own:
        reason = NotEstimable("no group named neighbours that are in the trial")
        return SpillOver(metric.id, arms[1], 0, 0, len(both), reason)
    sizes = [block.totals[1] if metric.kind is MetricKind.RATIO else float(block.units) for block in own]
    found = interference(
        Clusters(np.array([block.totals[0] for block in own]), np.array(sizes)),
        np.array([block.arm == arms[1] for block in own]),
        np.array([around[block.key].count(arms[1]) / len(around[block.key]) for block in own]),
        alpha,
    )
    controls = sum(block.arm == arms[0] for block in own)
    return SpillOver(metric.id, arms[1], len(own), controls, len(both) - len(own), found)
