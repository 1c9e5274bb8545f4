"""Plans for tests: only what a test is about is written out, and the loader does the rest."""

import json
from collections.abc import Mapping
from typing import Any

from meshtrial.plan.load import load
from meshtrial.plan.model import Plan

ARMS: Mapping[str, Mapping[str, Any]] = {
    "v1": {"weight": 50, "cluster": "model-v1"},
    "v2": {"weight": 50, "cluster": "model-v2", "headers": {"x-model-version": "2"}},
}
"""The first one is control."""


def experiment(arms: Mapping[str, Mapping[str, Any]] = ARMS, **keys: object) -> dict[str, object]:
    """An experiment of the plan document: users by `x-user-id`, the first arm is control."""
    decision = {
        "method": "fixed",
        "alpha": 0.05,
        "power": 0.8,
        "planned_units": 8876,
        "minimum_duration": "14d",
        "primary": [{"metric": "conversion", "direction": "up", "minimum_effect": "2pp"}],
    }
    common = {"unit": {"header": "x-user-id"}, "control": next(iter(arms)), "decision": decision}
    return {**common, "arms": arms, **keys}


def on(path_prefix: str, **keys: Any) -> dict[str, object]:
    """An experiment on the paths that begin with `path_prefix`."""
    return experiment(match={"path_prefix": path_prefix}, **keys)


def plan_text(experiments: Mapping[str, object], **sections: object) -> str:
    """The document with these experiments, one metric, `conversion`, and further sections."""
    conversion = {"kind": "proportion", "outcome": "purchase", "window": "7d"}
    document = {
        "apiVersion": "meshtrial/v1",
        "metrics": {"conversion": conversion},
        **sections,
        "experiments": experiments,
    }
    return json.dumps(document)


def plan_of(experiments: Mapping[str, object], **sections: object) -> Plan:
    """The plan of `plan_text`."""
    return load(plan_text(experiments, **sections), "plan.yaml")
