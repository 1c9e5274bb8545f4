"""What the reader makes of metrics and decisions; how each is written is docs/plan.md."""

from pathlib import Path

from meshtrial.plan.inference import (
    REQUESTS,
    Boundary,
    Cap,
    Covariate,
    Direction,
    Events,
    Looks,
    Margin,
    Method,
    MetricKind,
    Scale,
    Shape,
    Window,
)
from meshtrial.plan.load import load

GOOD = Path(__file__).parents[2] / "plans" / "good"
PLAN = load((GOOD / "inference.yaml").read_text("utf-8"), "inference.yaml")
METRICS = {metric.id: metric for metric in PLAN.metrics}
RULES = {experiment.id: experiment.decision for experiment in PLAN.experiments}
DAY = 86_400
PURCHASE = Events("purchase", None)


def test_every_kind_of_metric_is_read_with_its_events() -> None:
    assert {key: (m.kind, m.events, m.denominator) for key, m in METRICS.items()} == {
        "conversion": (MetricKind.PROPORTION, PURCHASE, None),
        "retention": (MetricKind.PROPORTION, Events("visit", None), None),
        "failed": (MetricKind.PROPORTION, Events(None, "grpc_error"), None),
        "revenue": (MetricKind.MEAN, Events("purchase", "amount"), None),
        "profit": (MetricKind.MEAN, Events("purchase", "profit"), None),
        "orders": (MetricKind.COUNT, PURCHASE, None),
        "ctr": (MetricKind.RATIO, Events("click", None), Events("impression", None)),
        "basket": (MetricKind.RATIO, Events("purchase", "amount"), PURCHASE),
        "error_rate": (MetricKind.RATIO, Events(None, "error"), REQUESTS),
        "latency": (MetricKind.RATIO, Events(None, "duration_ms"), REQUESTS),
        "latency_p95": (MetricKind.QUANTILE, Events(None, "duration_ms"), None),
        "answer_p50": (MetricKind.QUANTILE, Events("answer", "seconds"), None),
    }


def test_windows_quantiles_and_caps_are_read() -> None:
    assert (METRICS["conversion"].window, METRICS["retention"].window) == (
        Window(0, 7 * DAY),
        Window(DAY, 7 * DAY),
    )
    assert {key: m.q for key, m in METRICS.items() if m.q is not None} == {
        "latency_p95": 0.95,
        "answer_p50": 0.5,
    }
    assert {key: m.cap for key, m in METRICS.items() if m.cap is not None} == {
        "revenue": Cap(0.999, is_share=True),
        "profit": Cap(500, is_share=False),
    }


def test_covariates_are_a_metrics_own_events_before_or_those_that_are_listed() -> None:
    assert {key: m.covariates for key, m in METRICS.items() if m.covariates} == {
        "conversion": (Covariate(PURCHASE, 30 * DAY),),
        "failed": (Covariate(Events(None, "grpc_error"), 7 * DAY),),
        "revenue": (Covariate(Events("purchase", "amount"), 14 * DAY),),
        "profit": (
            Covariate(Events("visit", None), 14 * DAY),
            Covariate(Events("purchase", "profit"), 30 * DAY),
        ),
        "orders": (Covariate(PURCHASE, 14 * DAY),),
        "ctr": (Covariate(Events("click", None), 14 * DAY),),
    }


def test_methods_and_looks_are_read() -> None:
    assert {key: (rule.method, rule.looks) for key, rule in RULES.items()} == {
        "planned-looks": (Method.GROUP_SEQUENTIAL, Looks((0.2, 0.4, 0.6, 0.8, 1.0))),
        "uneven-looks": (Method.GROUP_SEQUENTIAL, Looks((0.25, 0.5, 1.0))),
        "weekly-looks": (Method.GROUP_SEQUENTIAL, Looks(every=7 * DAY)),
        "any-time": (Method.SEQUENTIAL, None),
        "by-window": (Method.FIXED, None),
    }


def test_boundaries_are_exact_or_spend_and_only_group_sequential_has_one() -> None:
    assert {key: (rule.boundary, rule.futility) for key, rule in RULES.items()} == {
        "planned-looks": (
            Boundary(Shape.WANG_TSIATIS, 0.25, spending=False),
            Boundary(Shape.HWANG_SHIH_DECANI, -2),
        ),
        "uneven-looks": (Boundary(Shape.OBRIEN_FLEMING, spending=False), Boundary(Shape.POCOCK)),
        "weekly-looks": (Boundary(Shape.HWANG_SHIH_DECANI, -4), Boundary(Shape.OBRIEN_FLEMING)),
        "any-time": (None, None),
        "by-window": (None, None),
    }


def test_a_group_sequential_trial_spends_as_obrien_and_fleming_unless_told_otherwise() -> None:
    text = (GOOD / "minimal.yaml").read_text("utf-8")
    [experiment] = load(
        text.replace("method: fixed", "method: group_sequential\n      looks: 3"), "plan.yaml"
    ).experiments

    assert experiment.decision.boundary == Boundary(Shape.OBRIEN_FLEMING, None, spending=True)
    assert experiment.decision.futility is None


def test_each_role_has_its_metrics_directions_and_margins() -> None:
    rule = RULES["planned-looks"]

    assert [(p.metric.id, p.minimum_effect, p.require_above) for p in rule.primary] == [
        ("conversion", Margin(0.02, Scale.RELATIVE), Margin(0.005, Scale.RELATIVE)),
        ("orders", Margin(0.1, Scale.ABSOLUTE), None),
        ("ctr", Margin(0.005, Scale.ABSOLUTE), Margin(0.001, Scale.ABSOLUTE)),
    ]
    assert [(g.metric.id, g.direction, g.margin) for g in rule.guardrails] == [
        ("error_rate", Direction.DOWN, Margin(0.005, Scale.ABSOLUTE)),
        ("latency_p95", Direction.DOWN, Margin(0.1, Scale.RELATIVE)),
        ("retention", Direction.UP, Margin(0.01, Scale.ABSOLUTE)),
        ("latency", Direction.DOWN, Margin(20, Scale.ABSOLUTE)),
    ]
    assert [(s.metric.id, s.direction) for s in rule.secondary] == [
        ("basket", None),
        ("revenue", Direction.UP),
        ("profit", None),
    ]


def test_lateness_is_an_hour_unless_told_otherwise_and_may_be_none_at_all() -> None:
    assert {key: rule.lateness for key, rule in RULES.items()} == {
        "planned-looks": 0,
        "uneven-looks": 7200,
        "weekly-looks": 3600,
        "any-time": 3600,
        "by-window": 3600,
    }
    assert {key for key, rule in RULES.items() if rule.gatekeeping} == {"planned-looks"}


def test_neighbours_are_read_from_a_header_in_lower_case() -> None:
    assert {e.id: str(e.neighbours) for e in PLAN.experiments if e.neighbours} == {
        "weekly-looks": "header:x-neighbours"
    }
