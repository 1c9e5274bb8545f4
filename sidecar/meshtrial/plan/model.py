"""The plan as one frozen value: what every other part reads.

Built by `meshtrial.plan.load`; nothing else makes one, so a Plan that exists is valid.
"""

from bisect import bisect_left
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction

from meshtrial.plan.index import Index
from meshtrial.plan.inference import DecisionRule, Metric
from meshtrial.plan.traffic import Audience, Cohort, Match, Source, Unit

DEFAULT_COHORT = "default"
"""Name of the weights of whoever is in no cohort that an experiment names."""


class Hash(StrEnum):
    """How a key becomes a bucket; see `assign.bucket`."""

    MD5 = "md5"
    XXH64 = "xxh64"
    MURMUR2 = "murmur2"


@dataclass(frozen=True, slots=True)
class Bucketing:
    """From a unit to one of a number of buckets."""

    hash: Hash
    salt: str
    """Hashed before the unit; "" hashes the bare unit."""
    buckets: int


@dataclass(frozen=True, slots=True)
class Layer:
    """Experiments that share out the same units, so that no unit is in two of them."""

    id: str
    unit: Unit
    bucketing: Bucketing
    holdout: int
    """Buckets from 0 on whose units are in no experiment of the layer."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One variant."""

    id: str
    cluster: str | None
    """Envoy cluster that serves it; None for all arms of an experiment that chooses none."""
    headers: tuple[tuple[str, str], ...]
    """Set on the request, lower-case names, sorted by name."""


@dataclass(frozen=True, slots=True)
class Lane:
    """The consecutive buckets of one arm that is not control."""

    arm: Arm
    start: int
    live: int
    """Up to here, exclusive, buckets are the arm's; from here on to `end` they wait for the ramp."""
    end: int


@dataclass(frozen=True, slots=True)
class Split:
    """How the units of one cohort are shared out; every bucket that is in no live lane is control's."""

    cohort: Cohort | None
    """None for whoever is in no cohort that has weights of its own."""
    lanes: tuple[Lane, ...]
    """In document order of their arms, control left out."""

    @property
    def id(self) -> str:
        """The cohort's id, or `default`."""
        return self.cohort.id if self.cohort else DEFAULT_COHORT


class Mode(StrEnum):
    """Whether an experiment splits."""

    RUNNING = "running"
    PAUSED = "paused"
    KILLED = "killed"


class Exposures(StrEnum):
    """Which assignments are recorded."""

    FIRST = "first"
    """The first of each unit, arm and hour, as far as a bounded memory tells."""
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Experiment:
    """One split of one stream of requests."""

    id: str
    match: Match
    audience: Audience
    unit: Unit
    layer: Layer | None
    slice: tuple[int, int]
    """First bucket of the layer and the one after the last; (0, 0) without a layer."""
    bucketing: Bucketing
    arms: tuple[Arm, ...]
    """In document order."""
    control: Arm
    splits: tuple[Split, ...]
    """The default split first, then those of cohorts in document order of `cohorts`."""
    ramp: Fraction
    """Live share of each lane, 0..1; live buckets are rounded down."""
    mode: Mode
    strata: tuple[Source, ...]
    """Recorded with every exposure."""
    neighbours: Source | None
    """Header that lists the groups next to the request's own, separated by commas; None but for groups."""
    sticky: bool
    """A unit keeps its first arm for the experiment's life."""
    carry: bool
    """The arm travels on to further hops in signed baggage."""
    exposures: Exposures
    response_outcomes: bool
    """Outcomes are read from the model's response header."""
    decision: DecisionRule
    phase: str
    """Digest of the allocation: everything that moves a unit between arms, 16 hex digits."""

    def treatments(self) -> tuple[Arm, ...]:
        """The arms other than control, in document order."""
        return tuple(arm for arm in self.arms if arm is not self.control)

    def arm(self, arm_id: str) -> Arm | None:
        """The arm of this id, None where there is none."""
        return next((arm for arm in self.arms if arm.id == arm_id), None)

    def split(self, cohort_id: str) -> Split:
        """The split of this cohort; the default one where the cohort has none of its own."""
        return next((split for split in self.splits if split.id == cohort_id), self.splits[0])

    def width(self, arm: Arm, split: Split) -> int:
        """Buckets that the weight gives an arm in a split, whatever the ramp, 0..buckets."""
        if arm is self.control:
            return self.bucketing.buckets - sum(lane.end - lane.start for lane in split.lanes)
        return sum(lane.end - lane.start for lane in split.lanes if lane.arm is arm)

    def share(self, arm: Arm, cohort: str = DEFAULT_COHORT) -> Fraction:
        """Share of a cohort's units that the arm is to get under the present ramp, 0..1, exact."""
        lanes = self.split(cohort).lanes
        buckets = self.bucketing.buckets
        if arm is self.control:
            return 1 - Fraction(sum(lane.live - lane.start for lane in lanes), buckets)
        return Fraction(sum(lane.live - lane.start for lane in lanes if lane.arm is arm), buckets)


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole valid plan document."""

    metrics: tuple[Metric, ...]
    """In order of their ids."""
    layers: tuple[Layer, ...]
    """In order of their ids."""
    cohorts: tuple[Cohort, ...]
    """In document order: of several that hold, the first counts."""
    experiments: tuple[Experiment, ...]
    """In order of their ids."""
    canonical: str
    """The canonical document (JSON, so a plan itself): equal for plans that mean the same."""
    digest: str
    """SHA-256 of `canonical`, 64 hex digits."""
    index: "Index[Experiment]" = field(repr=False, compare=False)
    owned_headers: tuple[str, ...] = field(repr=False, compare=False)
    """Every header that some arm sets, sorted: a client's own copies are dropped."""

    def experiment(self, experiment_id: str) -> Experiment | None:
        """The experiment of this id, None where there is none."""
        at = bisect_left(self.experiments, experiment_id, key=lambda experiment: experiment.id)
        found = self.experiments[at] if at < len(self.experiments) else None
        return found if found is not None and found.id == experiment_id else None
