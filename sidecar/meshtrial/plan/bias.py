"""One experiment before and after -> what of its data would be biased, and what to do instead."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from meshtrial.names import Reason
from meshtrial.plan.amendments import amendments
from meshtrial.plan.model import DEFAULT_COHORT, Experiment, Mode
from meshtrial.plan.moves import Move, reassigned


class Bias(StrEnum):
    """What is warned of; the values are fixed names, for programs."""

    REMOVED = "experiment-removed"
    UNIT = "unit"
    BUCKETING = "bucketing"
    UNKNOWN = "shares-unknown"
    CONTROL = "control"
    ARM_REMOVED = "arm-removed"
    ARM_ORDER = "arm-order"
    ARM_MEANING = "arm-meaning"
    ARMS_MIXED = "arms-mixed"
    BACK_TO_CONTROL = "back-to-control"
    LAYER = "layer"
    SLICE = "slice"
    COHORTS = "cohorts"
    WHO = "who-takes-part"
    MODE = "mode"
    STICKY = "sticky"
    RULE = "decision-rule"


@dataclass(frozen=True, slots=True)
class Warned:
    """One way in which data would mean something else than before."""

    bias: Bias
    consequence: str
    advice: str


_NEW_ID = "give the experiment a new id, so that it begins anew"
_NEW_SALT = "end the trial first, or begin anew with a new id, whose salt mixes everybody again"


def warnings_of(
    old: Experiment | None, new: Experiment | None, moves: tuple[Move, ...] | None
) -> tuple[Warned, ...]:
    """Everything to warn of, the gravest first; an experiment that is new biases nothing of its own."""
    if old is None:
        return ()
    if new is None:
        consequence = (
            "nobody is assigned any more, and what was recorded can no longer be judged by this plan"
        )
        return (Warned(Bias.REMOVED, consequence, "pause it (`paused: true`) until it is judged"),)
    found = [*_assigned_anew(old, new, moves), *_arms(old, new)]
    if not reassigned(old, new):
        found += _mixed(old, new, moves or ())
    found += [*_slices(old, new, moves or ()), *_cohorts(old, new), *_rest(old, new, moves)]
    return tuple(found)


def _assigned_anew(old: Experiment, new: Experiment, moves: tuple[Move, ...] | None) -> Iterator[Warned]:
    if _unit(old) != _unit(new):
        consequence = (
            f"the unit was {_unit(old)} and will be {_unit(new)}: all are assigned anew, and data of "
        )
        yield Warned(Bias.UNIT, consequence + "the two kinds of unit cannot be joined", _NEW_ID)
    names = [
        name
        for name, one, other in (
            ("hash", old.bucketing.hash, new.bucketing.hash),
            ("salt", old.bucketing.salt, new.bucketing.salt),
            ("buckets", old.bucketing.buckets, new.bucketing.buckets),
        )
        if one != other
    ]
    if names:
        verb = "differs" if len(names) == 1 else "differ"
        what = "all units are assigned anew, and many who met one arm meet another"
        keep = f"keep {' and '.join(f'`{name}`' for name in names)}, or {_NEW_ID}"
        yield Warned(Bias.BUCKETING, f"{_listed(names)} {verb}: {what}", keep)
    if moves is None:
        consequence = (
            "one plan's layer hashes as the other's arms do, so whoever is in the slice is not chosen "
        )
        advice = "give layer and experiment salts that neither plan has used"
        yield Warned(Bias.UNKNOWN, consequence + "at random from the arms, and shares cannot be told", advice)


def _unit(experiment: Experiment) -> str:
    unit = experiment.unit
    text = f"{unit.group_kind} of {unit.kind}" if unit.group_kind else unit.kind
    if unit.switchback is None:
        return text
    offset = f" from {unit.switchback.offset} s" if unit.switchback.offset else ""
    return f"{text} in windows of {unit.switchback.window} s{offset}"


def _arms(old: Experiment, new: Experiment) -> Iterator[Warned]:
    if old.control.id != new.control.id:
        consequence = (
            f"control was {old.control.id} and will be {new.control.id}: effects before and after are "
        )
        yield Warned(Bias.CONTROL, consequence + "against different arms", _NEW_ID)
    gone = [arm.id for arm in old.arms if new.arm(arm.id) is None]
    if gone:
        consequence = (
            f"{_listed(gone)} will be gone: its units go to other arms, which they then have met late"
        )
        advice = "leave the arm out of a new experiment, with a new id"
        yield Warned(Bias.ARM_REMOVED, consequence, advice)
    before = [arm.id for arm in old.treatments() if new.arm(arm.id) in new.treatments()]
    after = [arm.id for arm in new.treatments() if arm.id in before]
    if before != after:
        consequence = (
            f"the order of arms was {', '.join(before)} and will be {', '.join(after)}: it says which "
        )
        yield Warned(Bias.ARM_ORDER, consequence + "buckets are whose", "write the arms in their old order")
    meaning = [arm.id for arm in old.arms if new.arm(arm.id) not in {None, arm}]
    if meaning:
        consequence = (
            f"{_listed(meaning)} leads to another cluster or sets other headers: data before and after "
        )
        advice = "add the other model as an arm of a new experiment"
        yield Warned(Bias.ARM_MEANING, consequence + "are of different things", advice)


def _mixed(old: Experiment, new: Experiment, moves: tuple[Move, ...]) -> Iterator[Warned]:
    """Units that met an arm other than control, and will meet another one."""
    met = [
        (move, move.old.arm, move.new.arm)
        for move in moves
        if move.old is not None and move.new is not None
        if move.old.reason is Reason.SPLIT and move.new.reason is Reason.SPLIT
        if move.old.arm != old.control.id
    ]
    back = [_told(move, f"`{arm}`") for move, arm, then in met if then == new.control.id]
    if back:
        consequence = (
            f"{', '.join(back)} go back to control, after they met the arm: what it did to them stays"
        )
        advice = "let weights and ramp of arms only grow; to stop an arm, pause or end the experiment"
        yield Warned(Bias.BACK_TO_CONTROL, consequence, advice)
    mixed = [_told(move, f"`{arm}`") + f" to `{then}`" for move, arm, then in met if then != new.control.id]
    if mixed:
        consequence = (
            f"units go from arm to arm: {', '.join(mixed)}; they were changed by the one and count for "
        )
        advice = f"change weights from the last arm on only, as lanes follow each other; or {_NEW_SALT}"
        yield Warned(Bias.ARMS_MIXED, consequence + "one of them at most", advice)


def _slices(old: Experiment, new: Experiment, moves: tuple[Move, ...]) -> Iterator[Warned]:
    one, other = old.layer, new.layer
    if (one and (one.id, one.unit, one.bucketing)) != (other and (other.id, other.unit, other.bucketing)):
        was, will = (f"layer `{layer.id}`" if layer else "no layer" for layer in (one, other))
        consequence = f"the experiment stood in {was} and will stand in {will}"
        if one and other and one.id == other.id:
            consequence = (
                f"layer `{one.id}` has another unit, hash, salt or number of buckets: its units are "
            )
            consequence += "dealt out anew to all its experiments"
        yield Warned(Bias.LAYER, consequence, _NEW_ID)
    outside = {Reason.OUTSIDE, Reason.HOLDOUT}
    leaving = [
        m for m in moves if m.new and m.new.reason in outside and m.old and m.old.reason is Reason.SPLIT
    ]
    entering = [
        m for m in moves if m.old and m.old.reason in outside and m.new and m.new.reason is Reason.SPLIT
    ]
    parts = []
    for verb, some in (("leave", leaving), ("enter", entering)):
        by_cohort: dict[str, Fraction] = {}
        for move in some:
            by_cohort[move.cohort] = by_cohort.get(move.cohort, Fraction()) + move.share
        if by_cohort:
            parts.append(f"{percent(max(by_cohort.values()))} of units {verb}")
    if parts:
        consequence = (
            f"{' and '.join(parts)} the experiment: whoever leaves gets another arm before their outcomes "
        )
        consequence += "are in, whoever enters may have met an experiment that had them before"
        yield Warned(Bias.SLICE, consequence, "change slices and holdout between experiments, not within one")


def _cohorts(old: Experiment, new: Experiment) -> Iterator[Warned]:
    before, after = [s.cohort for s in old.splits], [s.cohort for s in new.splits]
    if before != after:
        consequence = (
            "the cohorts that have weights of their own, their conditions or their order differ: units "
        )
        consequence += "change to another cohort's weights, how many cannot be told from the plans"
        yield Warned(Bias.COHORTS, consequence, f"keep cohorts while an experiment runs, or {_NEW_ID}")


def _rest(old: Experiment, new: Experiment, moves: tuple[Move, ...] | None) -> Iterator[Warned]:
    if (old.match, old.audience) != (new.match, new.audience):
        consequence = (
            "`match` or `audience` differs: other units take part from then on, how many cannot be told "
        )
        consequence += "from the plans"
        yield Warned(Bias.WHO, consequence, f"effects before and after are of different people: {_NEW_ID}")
    if old.mode is not new.mode:
        consequence = f"the experiment was {old.mode.value} and will be {new.mode.value}: "
        consequence += (
            "who met an arm before the pause counts for it, and had control meanwhile"
            if new.mode is Mode.RUNNING
            else "everybody gets control, and who met another arm still counts for it"
        )
        yield Warned(Bias.MODE, consequence, "go on only after a short pause; after a long one begin anew")
    if old.sticky and new.sticky and (moves is None or moves):
        consequence = (
            "the experiment is sticky: the moves are of units that it has not met yet; all others keep "
        )
        yield Warned(Bias.STICKY, consequence + "their first arm", "arms fill up by their new weights slowly")
    elif old.sticky != new.sticky:
        consequence = (
            "units that it met are not kept in the arms that they had, but in those of the new plan"
            if new.sticky
            else "kept arms are forgotten: whoever had another than their bucket's goes to their bucket's arm"
        )
        yield Warned(Bias.STICKY, f"`sticky` differs: {consequence}", _NEW_ID)
    if amended := amendments(old, new):
        verb = "differs" if len(amended) == 1 else "differ"
        consequence = f"{' and '.join(amended)} {verb}: an amendment, since from then on the trial is "
        consequence += "judged by a rule made after the data began, for which no error rate is known to hold"
        yield Warned(Bias.RULE, consequence, "keep the rule until the trial has been judged")


def _told(move: Move, arm: str) -> str:
    cohort = "" if move.cohort == DEFAULT_COHORT else f" in cohort `{move.cohort}`"
    return f"{percent(move.of_place)} of {arm}'s units{cohort}"


def percent(share: Fraction) -> str:
    """A share in percent, to 4 digits: `12.5%`."""
    return f"{float(share) * 100:.4g}%"


def _listed(names: list[str]) -> str:
    return " and ".join(f"`{name}`" for name in names)
