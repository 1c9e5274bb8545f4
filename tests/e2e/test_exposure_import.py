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


WHOLE = RANK.replace("planned_units: 100", f"planned_units: {len(USERS)}")
RAMPED = WHOLE.replace("    control: v1", "    ramp: 20%\n    control: v1")
"""The same experiment while the treatment had a tenth."""
BY = ("--experiment", "rank-v2", "--unit-column", "user", "--arm-column", "variant", "--time-column", "at")


def assigned(path: Path, arms: dict[str, str], start: int) -> str:
    rows = "".join(f"{user},{arm},{start + number}\n" for number, (user, arm) in enumerate(arms.items()))
    path.write_text("user,variant,at\n" + rows)
    return str(path)


def report_of(plan: Path, store: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        meshtrial("report", "rank-v2", "--plan", str(plan), "--store", str(store), "--json")
    )
    return document


def check_of(report: dict[str, Any], name: str) -> dict[str, Any]:
    [found] = [check for check in report["health"] if check["check"] == name]
    return dict(found)


def test_a_rule_that_was_changed_once_imported_data_were_in_is_listed_as_amended(tmp_path: Path) -> None:
    plan, store = tmp_path / "plan.yaml", tmp_path / "store"
    plan.write_text(RANK)
    file = assigned(tmp_path / "assigned.csv", {user: arm_of(user, "elsewhere") for user in USERS}, START)
    amended = RANK.replace("alpha: 0.05", "alpha: 0.1").replace("planned_units: 100", "planned_units: 50")
    changed = ["decision.alpha", "decision.planned_units"]
    with collecting(tmp_path) as collector:
        to = ("--collector", collector.where["otlp_http"])
        meshtrial("exposure", "import", file, "--plan", str(plan), *BY, *to)
        as_it_was = report_of(plan, store)
        plan.write_text(amended)
        once = report_of(plan, store)
        meshtrial("exposure", "import", file, "--plan", str(plan), *BY, *to)
        twice = report_of(plan, store)

    assert as_it_was["amendments"] == []
    for report in (once, twice):
        [amendment] = report["amendments"]
        assert (amendment["changed"], amendment["plan"]) == (changed, report["plan"])
        assert "amended after the first exposure" in " ".join(report["verdict"]["reasons"])


def test_the_phases_of_a_ramp_that_were_imported_one_after_the_other_are_both_known(tmp_path: Path) -> None:
    plan, store = tmp_path / "plan.yaml", tmp_path / "store"
    few = {user: "v2" if number % 10 == 0 else "v1" for number, user in enumerate(USERS[:200])}
    half = {user: "v2" if number % 2 == 0 else "v1" for number, user in enumerate(USERS[200:])}
    earlier = assigned(tmp_path / "earlier.csv", few, START)
    later = assigned(tmp_path / "later.csv", half, START + 86_400)
    with collecting(tmp_path) as collector:
        to = ("--collector", collector.where["otlp_http"])
        plan.write_text(RAMPED)
        meshtrial("exposure", "import", earlier, "--plan", str(plan), *BY, *to)
        plan.write_text(WHOLE)
        meshtrial("exposure", "import", later, "--plan", str(plan), *BY, *to)
        report = report_of(plan, store)

    assert check_of(report, "one_plan") == {
        "check": "one_plan",
        "passed": True,
        "p_value": None,
        "detail": "one allocation was in force at a time, and all are known",
    }
    assert report["amendments"] == []
    both = list(few.values()) + list(half.values())
    by_arm = {arm["arm"]: (arm["units"], arm["analysed"]) for arm in report["arms"]}
    assert by_arm == {arm: (both.count(arm), both.count(arm)) for arm in ("v1", "v2")}
