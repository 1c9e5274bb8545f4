"""Plan -> canonical document: the same text for every plan that means the same.

It is JSON, and so a plan itself: loading it gives the same plan. Keys are sorted, except that arms keep
their order, which assigns them their buckets, and cohorts theirs, of which the first counts. Durations are
in seconds. A key whose value is its default is left out, so that a key added by a later version changes no
digest.
"""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

import msgspec

from meshtrial.plan.bucketing import DEFAULT_BUCKETS
from meshtrial.plan.canonical_inference import decision_document, metric_document
from meshtrial.plan.canonical_traffic import audience_document, match_document, unit_document
from meshtrial.plan.canonical_values import Json, percent, raw_number
from meshtrial.plan.inference import Metric
from meshtrial.plan.model import DEFAULT_COHORT, Arm, Bucketing, Experiment, Exposures, Hash, Layer, Mode
from meshtrial.plan.traffic import Cohort


def canonical_text(
    metrics: Iterable[Metric],
    layers: Iterable[Layer],
    cohorts: Iterable[Cohort],
    experiments: Iterable[Experiment],
) -> str:
    """The canonical document, in UTF-8 JSON without spaces."""
    document: Json = {"apiVersion": "meshtrial/v1"}
    if found := {cohort.id: audience_document(cohort.audience) for cohort in cohorts}:
        document["cohorts"] = found
    document["experiments"] = {e.id: _experiment(e) for e in experiments}
    if of_layers := {layer.id: _layer(layer) for layer in layers}:
        document["layers"] = of_layers
    document["metrics"] = {m.id: metric_document(m) for m in metrics}
    return msgspec.json.encode(document).decode()


def _experiment(experiment: Experiment) -> Json:
    e = experiment
    document: Json = {
        "arms": {arm.id: _arm(arm, e) for arm in e.arms},
        "control": e.control.id,
        "decision": decision_document(e.decision),
        **_bucketing(e.bucketing, e.id),
    }
    if e.layer is None:
        document["unit"] = unit_document(e.unit)
    else:
        document["layer"] = e.layer.id
        buckets = e.layer.bucketing.buckets
        if e.slice != (e.layer.holdout, buckets):
            document["slice"] = [percent(Fraction(edge, buckets)) for edge in e.slice]
    optional: Json = {
        "audience": audience_document(e.audience),
        "carry": e.carry,
        "exposures": "" if e.exposures is Exposures.FIRST else e.exposures.value,
        "killed": e.mode is Mode.KILLED,
        "match": match_document(e.match),
        "neighbours": {"header": e.neighbours.name} if e.neighbours else {},
        "outcomes": {"response_header": True} if e.response_outcomes else {},
        "paused": e.mode is Mode.PAUSED,
        "ramp": "" if e.ramp == 1 else percent(e.ramp),
        "sticky": e.sticky,
        "strata": [source.name for source in e.strata],
    }
    document.update((key, value) for key, value in optional.items() if value)
    return dict(sorted(document.items()))


def _layer(layer: Layer) -> Json:
    document: Json = {"unit": unit_document(layer.unit), **_bucketing(layer.bucketing, layer.id)}
    if layer.holdout:
        document["holdout"] = percent(Fraction(layer.holdout, layer.bucketing.buckets))
    return dict(sorted(document.items()))


def _bucketing(bucketing: Bucketing, default_salt: str) -> Json:
    document: Json = {}
    if bucketing.buckets != DEFAULT_BUCKETS:
        document["buckets"] = bucketing.buckets
    if bucketing.hash is not Hash.MD5:
        document["hash"] = bucketing.hash.value
    if bucketing.salt != default_salt:
        document["salt"] = bucketing.salt
    return document


def _arm(arm: Arm, experiment: Experiment) -> Json:
    document: Json = {}
    if arm.cluster is not None:
        document["cluster"] = arm.cluster
    if arm.headers:
        document["headers"] = dict(arm.headers)
    buckets = experiment.bucketing.buckets
    weights = {
        split.id: raw_number(Decimal(experiment.width(arm, split)) * 100 / buckets)
        for split in experiment.splits
    }
    document["weight"] = weights[DEFAULT_COHORT] if len(weights) == 1 else {**weights}
    return document
