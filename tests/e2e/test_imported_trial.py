"""A trial that was run elsewhere, imported as three files: the report is that of the files."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from e2e.shop import arms, arms_of_shopper, decision, metrics, shopping
from e2e.trial import SECRETS, collecting
from e2e.truth import Compared, column
from plan_values import on, plan_text

USERS = [f"customer-{number}" for number in range(2000)]
_HOUR, _DAY = 3600, 86_400
START = int(time.time()) // _DAY * _DAY - 60 * _DAY + _HOUR
"""An hour after midnight UTC, sixty days ago."""
MET = {user: START + 600 * number for number, user in enumerate(USERS)}
"""A user every ten minutes, for two weeks."""
RULE = {
    **decision("fixed", len(USERS), "conversion", secondary=["spend"]),
    "minimum_duration": "14d",
    "lateness": "1h",
}
PLAN = plan_text(
    {"better": on("/shop", arms=arms("better", clusters=False), decision=RULE)}, metrics=metrics("7d", "30d")
)


def meshtrial(*arguments: str) -> dict[str, Any]:
    """What a command prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "meshtrial", *arguments, "--json"],
        env={**os.environ, **SECRETS},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def table(path: Path, *rows: Sequence[object]) -> str:
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    return str(path)


def test_what_was_run_elsewhere_and_imported_is_judged_as_it_was(tmp_path: Path) -> None:
    acts = [shopping(user, arms_of_shopper(user)) for user in USERS]
    bought = [one.user for one in acts if one.sums().get("purchase")]
    plan, store = str(tmp_path / "plan.yaml"), str(tmp_path / "store")
    Path(plan).write_text(PLAN)
    assigned = table(
        tmp_path / "assigned.csv",
        ("user", "arm", "seen"),
        *((one.user, one.arms["better"], MET[one.user]) for one in acts),
    )
    orders = table(
        tmp_path / "orders.csv",
        ("order", "user", "at"),
        *((f"o-{user}", user, MET[user] + _DAY) for user in bought),
    )
    receipts = table(
        tmp_path / "receipts.csv",
        ("receipt", "user", "at", "total"),
        *((f"a-{one.user}", one.user, MET[one.user] + _HOUR, one.spent) for one in acts),
        *((f"b-{one.user}", one.user, MET[one.user] - _DAY, one.spent_before) for one in acts),
    )
    with collecting(tmp_path) as collector:
        to = ("--unit-column", "user", "--collector", collector.where["otlp_http"])
        of = ("--unit-kind", "header:x-user-id", "--time-column", "at", *to)
        by_columns = ("--experiment", "better", "--arm-column", "arm", "--time-column", "seen", *to)
        summed = ("--value", "amount=total", *of)
        acknowledged = [
            meshtrial(*arguments)["acknowledged"]
            for arguments in (
                ("exposure", "import", assigned, "--plan", plan, *by_columns),
                ("outcome", "import", orders, "--name", "purchase", "--id-column", "order", *of),
                ("outcome", "import", receipts, "--name", "spend", "--id-column", "receipt", *summed),
            )
        ]
        report = meshtrial("report", "better", "--plan", plan, "--store", store)

    assert acknowledged == [len(USERS), len(bought), 2 * len(USERS)]
    assert [check for check in report["health"] if check["passed"] is False] == []
    assert (report["verdict"]["decision"], report["verdict"]["arm"]) == ("ship", "v2")
    assert report["progress"]["closed_units"] == len(USERS)
    users = Compared.of([one.arms["better"] == "v2" for one in acts], [MET[one.user] for one in acts], _DAY)
    assert len(np.unique(users.stratum)) == 14
    sums = [one.sums() for one in acts]
    found = {metric["metric"]: metric["comparisons"][0] for metric in report["metrics"]}
    purchases = users.effect(column(sums, "purchase"))
    assert found["conversion"]["effect"] == pytest.approx(purchases, rel=1e-9)
    spent = column(sums, "spent")
    assert found["spend"]["unadjusted"]["effect"] == pytest.approx(users.effect(spent), rel=1e-9)
    adjusted = users.cuped(spent, column(sums, "spent_before"))
    assert found["spend"]["effect"] == pytest.approx(adjusted, rel=1e-9)
