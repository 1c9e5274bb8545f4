"""Plan document -> Plan: the one loader, for `check`, `serve` and everything else."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import TypeVar

from meshtrial.errors import PlanError
from meshtrial.plan.audience import read_cohorts
from meshtrial.plan.canonical import canonical_text
from meshtrial.plan.cursor import Cursor
from meshtrial.plan.embedded import embedded_plan
from meshtrial.plan.experiments import Surroundings, read_experiment
from meshtrial.plan.index import index_of
from meshtrial.plan.inference import Metric
from meshtrial.plan.layers import read_layers
from meshtrial.plan.metrics import read_metrics
from meshtrial.plan.model import Experiment, Layer, Plan
from meshtrial.plan.pairs import MAX_EXPERIMENTS, check_pairs
from meshtrial.plan.problems import Problems, Rule
from meshtrial.plan.tree import read_either

API_VERSION = "meshtrial/v1"
REQUIRED = ("apiVersion", "metrics", "experiments")
OPTIONAL = ("layers", "cohorts")
LATER = ("shadows",)

_Entry = TypeVar("_Entry", Metric, Layer)


def load(text: str, source: str) -> Plan:
    """Compile a plan: a document of its own, or one that stands within a proxy's configuration.

    Args:
        text: YAML (JSON is YAML too). `plan.tree` tells a plan from a configuration by their keys;
            `plan.embedded` finds the plan within one.
        source: The document's name in error messages, as the user gave it.

    Raises:
        PlanError: At least one rule is broken; it carries all of them.
    """
    problems = Problems()
    documents, is_configuration = read_either(text, problems)
    root = embedded_plan(documents, problems) if is_configuration else next(iter(documents), None)
    plan = _read(Cursor(root, "$", problems)) if root is not None else None
    if plan is None:
        raise PlanError(source, problems.found())
    return plan


def _read(cursor: Cursor) -> Plan | None:
    fields = cursor.fields(REQUIRED, OPTIONAL, LATER)
    fields.read("apiVersion", _api_version)
    around = Surroundings(
        metrics=fields.read("metrics", read_metrics) or {},
        layers=fields.read("layers", read_layers) or {},
        cohorts=fields.read("cohorts", read_cohorts) or {},
    )
    experiments = fields.read("experiments", lambda c: _experiments(c, around)) or ()
    return None if cursor.problems.found() else compiled(around, experiments)


def compiled(around: Surroundings, experiments: Iterable[Experiment]) -> Plan:
    """The Plan of sections that have been read."""
    metrics = _by_id(around.metrics)
    layers = _by_id(around.layers)
    cohorts = tuple(cohort for cohort in around.cohorts.values() if cohort is not None)
    ordered = tuple(sorted(experiments, key=lambda experiment: experiment.id))
    canonical = canonical_text(metrics, layers, cohorts, ordered)
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    owned = sorted({name for experiment in ordered for arm in experiment.arms for name, _ in arm.headers})
    return Plan(metrics, layers, cohorts, ordered, canonical, digest, index_of(ordered), tuple(owned))


def _by_id(entries: Mapping[str, _Entry | None]) -> tuple[_Entry, ...]:
    return tuple(entry for _, entry in sorted(entries.items()) if entry is not None)


def _api_version(cursor: Cursor) -> None:
    text = cursor.text()
    if text is not None and text != API_VERSION:
        cursor.fail(Rule.API_VERSION, f"this version reads `{API_VERSION}` only")


def _experiments(cursor: Cursor, around: Surroundings) -> tuple[Experiment, ...]:
    entries = cursor.entries()
    if len(entries) > MAX_EXPERIMENTS:
        message = f"a plan has at most {MAX_EXPERIMENTS:,} experiments, this one {len(entries):,}"
        cursor.fail(Rule.EXPERIMENTS_COUNT, message)
        return ()
    read = [read_experiment(key, entry, around) for key, entry in entries.items()]
    check_pairs([claim for _, claim in read])
    layers = {layer.bucketing.salt: layer.id for layer in around.layers.values() if layer is not None}
    for _, claim in read:
        if claim.salt in layers:
            message = f"has the same salt as layer `{layers[claim.salt]}`: who is in would decide the arm"
            claim.cursor.fail(Rule.SALTS_EQUAL, message)
    return tuple(experiment for experiment, _ in read if experiment is not None)
