"""Plan document -> Plan: the one loader, for `check`, `serve` and everything else."""

import hashlib
from collections.abc import Mapping

from meshtrial.errors import PlanError
from meshtrial.plan.canonical import canonical_text
from meshtrial.plan.cursor import Cursor
from meshtrial.plan.experiments import read_experiment
from meshtrial.plan.metrics import read_metrics
from meshtrial.plan.model import Experiment, Metric, Plan
from meshtrial.plan.problems import Problems, Rule
from meshtrial.plan.rules import MAX_EXPERIMENTS, check_pairs
from meshtrial.plan.tree import read_tree

API_VERSION = "meshtrial/v1"
REQUIRED = ("apiVersion", "metrics", "experiments")
LATER = ("layers", "cohorts", "shadows")


def load(text: str, source: str) -> Plan:
    """Compile a plan document.

    Args:
        text: YAML (JSON is YAML too).
        source: The document's name in error messages, as the user gave it.

    Raises:
        PlanError: At least one rule is broken; it carries all of them.
    """
    problems = Problems()
    root = read_tree(text, problems)
    plan = _read(Cursor(root, "$", problems)) if root is not None else None
    if plan is None or problems.found():
        raise PlanError(source, problems.found())
    return plan


def _read(cursor: Cursor) -> Plan:
    fields = cursor.fields(REQUIRED, later=LATER)
    fields.read("apiVersion", _api_version)
    metrics = fields.read("metrics", read_metrics) or {}
    experiments = fields.read("experiments", lambda c: _experiments(c, metrics)) or ()
    ordered = tuple(sorted(experiments, key=lambda experiment: experiment.id))
    measured = tuple(metric for _, metric in sorted(metrics.items()) if metric is not None)
    canonical = canonical_text(measured, ordered)
    return Plan(measured, ordered, canonical, hashlib.sha256(canonical.encode()).hexdigest())


def _api_version(cursor: Cursor) -> None:
    text = cursor.text()
    if text is not None and text != API_VERSION:
        cursor.fail(Rule.API_VERSION, f"this version reads `{API_VERSION}` only")


def _experiments(cursor: Cursor, metrics: Mapping[str, Metric | None]) -> tuple[Experiment, ...]:
    read = [read_experiment(key, entry, metrics) for key, entry in cursor.entries().items()]
    if len(read) > MAX_EXPERIMENTS:
        message = f"a plan has at most {MAX_EXPERIMENTS:,} experiments, this one {len(read):,}"
        cursor.fail(Rule.EXPERIMENTS_COUNT, message)
    else:
        check_pairs([claim for _, claim in read])
    return tuple(experiment for experiment, _ in read if experiment is not None)
