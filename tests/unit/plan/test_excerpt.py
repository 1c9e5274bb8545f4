from meshtrial.plan.excerpt import excerpt
from plan_values import experiment, on, plan_of


def test_an_excerpt_has_what_the_experiment_refers_to_and_nothing_else() -> None:
    weights = {
        "v1": {"weight": {"default": 50, "gold": 0}, "cluster": "a"},
        "v2": {"weight": {"default": 50, "gold": 100}, "cluster": "b"},
    }
    whole = {key: value for key, value in experiment(weights, layer="ranking").items() if key != "unit"}
    plan = plan_of(
        {
            "rank-v2": {
                **whole,
                "match": {"path_prefix": "/rank/"},
                "audience": [{"any": [{"cohort": "abroad"}, {"header": "x-a", "exists": True}]}],
            },
            "other": on("/other/"),
        },
        cohorts={
            "unused": [{"header": "x-b", "exists": True}],
            "gold": [{"header": "x-plan", "in": ["gold"]}],
            "abroad": [{"header": "x-country", "in": ["NZ"]}],
        },
        layers={"ranking": {"unit": {"header": "x-user-id"}}, "unused": {"unit": {"cookie": "sid"}}},
        metrics={
            "conversion": {"kind": "proportion", "outcome": "purchase", "window": "7d"},
            "unused": {"kind": "proportion", "outcome": "visit", "window": "7d"},
        },
    )
    rank = plan.experiment("rank-v2")
    assert rank is not None

    found = excerpt(plan, rank)

    assert found.experiments == (rank,)
    assert [metric.id for metric in found.metrics] == ["conversion"]
    assert [layer.id for layer in found.layers] == ["ranking"]
    assert [cohort.id for cohort in found.cohorts] == ["gold", "abroad"]


def test_the_only_experiment_of_a_plan_that_has_nothing_else_is_the_plan() -> None:
    plan = plan_of({"rank-v2": experiment()})

    assert excerpt(plan, plan.experiments[0]) == plan
