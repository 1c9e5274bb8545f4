"""A trial that was run elsewhere, judged here: its exposures and outcomes imported, then the report."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from e2e.trial import SECRETS, arm_of, collecting
from meshtrial.plan.load import load
from plan_texts import RANK

USERS = [f"user-{number}" for number in range(400)]
START = int(time.time()) - 90 * 86_400
"""Long before any clock's mistake would be believed."""


def meshtrial(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "meshtrial", *arguments],
        env={**os.environ, **SECRETS},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in {0, 2}, done.stderr
    return done.stdout


def test_what_was_assigned_elsewhere_is_counted_by_arm_and_judged_by_the_plan(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    text = RANK.replace("planned_units: 100", f"planned_units: {len(USERS)}")
    plan.write_text(text)
    arms = {user: arm_of(user, "elsewhere") for user in USERS}
    met = {user: START + number for number, user in enumerate(USERS)}
    (tmp_path / "assigned.csv").write_text(
        "user,variant,first_seen\n" + "".join(f"{user},{arms[user]},{met[user]}\n" for user in USERS)
    )
    (tmp_path / "orders.csv").write_text(
        "order,user,at,total\n"
        + "".join(f"{n},{user},{met[user] + 5},{1 + n % 3}\n" for n, user in enumerate(USERS) if n % 4 == 0)
    )
    with collecting(tmp_path) as collector:
        to = ["--collector", collector.where["otlp_http"], "--json"]
        exposures = meshtrial(
            *("exposure", "import", str(tmp_path / "assigned.csv"), "--plan", str(plan), *to),
            *("--experiment", "rank-v2", "--unit-column", "user", "--arm-column", "variant"),
            *("--time-column", "first_seen"),
        )
        outcomes = meshtrial(
            *("outcome", "import", str(tmp_path / "orders.csv"), "--name", "purchase", *to),
            *("--unit-column", "user", "--unit-kind", "header:x-user-id", "--time-column", "at"),
            *("--id-column", "order", "--value", "amount=total"),
        )
        report: dict[str, Any] = json.loads(
            meshtrial(
                *("report", "rank-v2", "--plan", str(plan), "--store", str(tmp_path / "store"), "--json")
            )
        )

    assert json.loads(exposures)["acknowledged"] == len(USERS)
    assert json.loads(outcomes)["acknowledged"] == len(USERS) // 4
    assert report["plan"] == load(text, "plan.yaml").digest
    by_arm = {part["arm"]: part["units"] for part in report["arms"]}
    assert by_arm == {arm: list(arms.values()).count(arm) for arm in ("v1", "v2")}
