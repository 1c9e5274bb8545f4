"""What a report remembers of a store changes no number, whatever comes next."""

import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from growing_store import Growing, Traffic, same
from judged_rows import plan_of
from meshtrial.plan.model import Plan
from proof import often

_WINDOW = "value: amount, window: 10s"
PLANS = (
    plan_of(("method: fixed", "method: sequential"), (_WINDOW, f"{_WINDOW}, covariate: 20s")),
    plan_of(
        ("method: fixed", "method: sequential"),
        ("    control: v1\n", "    control: v1\n    strata: [x-country]\n"),
        (_WINDOW, f"{_WINDOW}, cap: 60%"),
    ),
    plan_of(("planned_units: 100", "planned_units: 40"), (_WINDOW, f"{_WINDOW}, cap: 20")),
    plan_of(("planned_units: 100", "planned_units: 40"), (_WINDOW, f"{_WINDOW}, cap: 60%")),
    plan_of(("planned_units: 100", "planned_units: 40"), (_WINDOW, f"{_WINDOW}, cap: 95%")),
)


@settings(max_examples=often(8, 400), deadline=None)
@given(
    st.sampled_from(PLANS),
    st.integers(0, 2**32),
    st.lists(st.tuples(st.sampled_from((0.0, 0.0, 0.3)), st.booleans()), min_size=2, max_size=3),
)
def test_a_store_that_grows_has_the_report_of_one_read_whole(
    plan: Plan, seed: int, batches: list[tuple[float, bool]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Growing(Path(folder) / "store")
        traffic = Traffic(plan, random.Random(seed))
        for odd, journal in batches:
            store.grow(traffic.batch(40, odd=odd), journal=journal)
            at = traffic.begun + traffic.chance.choice((12, 30))  # by then not all, or all were received
            assert same(store.report(plan, at), store.fresh(plan, at))
