"""Plan document -> Plan: the one loader, for `check`, `serve` and everything else."""

import hashlib

from meshtrial.errors import PlanError
from meshtrial.plan.canonical import canonical_text
from meshtrial.plan.cursor import Cursor
from meshtrial.plan.experiments import read_experiment
from meshtrial.plan.metrics import read_metrics
from meshtrial.plan.model import Experiment, Plan
from meshtrial.plan.problems import Problems, Rule
from meshtrial.plan.rules import check_pairs
from meshtrial.plan.tree import read_tree

API_VERSION = "meshtrial/v1"


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
    fields = cursor.fields(["apiVersion", "metrics", "experiments"], later=("layers", "cohorts", "shadows"))
    if "apiVersion" in fields and fields["apiVersion"].text() != API_VERSION:
        fields["apiVersion"].fail(Rule.API_VERSION, f"this version reads `{API_VERSION}` only")
    metrics = fields.read("metrics", read_metrics) or {}
    experiments: dict[str, tuple[Experiment, Cursor]] = {}
    for key, entry in (fields.read("experiments", Cursor.entries) or {}).items():
        if experiment := read_experiment(key, entry, metrics):
            experiments[key] = (experiment, entry)
    check_pairs(experiments)
    ordered = tuple(experiment for _, (experiment, _) in sorted(experiments.items()))
    measured = tuple(metric for _, metric in sorted(metrics.items()) if metric is not None)
    canonical = canonical_text(measured, ordered)
    return Plan(measured, ordered, canonical, hashlib.sha256(canonical.encode()).hexdigest())
