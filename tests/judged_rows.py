"""Reports on hand-made rows: the plan of `plan_texts.RANK`, and a trial of a hundred units."""

import json
import random
from pathlib import Path

import jsonschema
import msgspec

from meshtrial.analysis.report import make_report
from meshtrial.analysis.report_parts import HealthPart, Report
from meshtrial.plan.load import load
from meshtrial.plan.model import Plan
from plan_texts import RANK
from trial_rows import Trial, nanoseconds

SCHEMA = Path(__file__).parents[1] / "docs/report.schema.json"
PLAN = load(RANK, "plan.yaml")


def plan_of(*changes: tuple[str, str]) -> Plan:
    """RANK with texts replaced."""
    text = RANK
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return load(text, "plan.yaml")


def rows_of(plan: Plan = PLAN) -> Trial:
    """An empty trial of the plan's experiment."""
    return Trial(plan.experiments[0].phase, plan.digest, plan.experiments[0].unit.kind)


def judged(rows: Trial, plan: Plan = PLAN, *, second: float = 60, peek: bool = False) -> Report:
    """The report at a second of the trial; its document is held against the schema."""
    with rows.connection() as connection:
        report = make_report(connection, plan, plan.experiments[0], nanoseconds(second), peek=peek)
    document = json.loads(msgspec.json.encode(report))
    jsonschema.validate(document, json.loads(SCHEMA.read_text()))
    return report


def numbers(part: object, digits: int = 9) -> object:
    """A part of a report as plain values, floats to some significant digits: sums may round in other ways."""

    def plain(value: object) -> object:
        if isinstance(value, float):
            return float(f"{value:.{digits}g}")
        if isinstance(value, dict):
            return {name: plain(one) for name, one in value.items()}
        return [plain(one) for one in value] if isinstance(value, list) else value

    return plain(json.loads(msgspec.json.encode(part)))


def check(report: Report, name: str) -> HealthPart:
    """One health check."""
    return next(part for part in report.health if part.check == name)


def hundred(
    v1: float, v2: float, seed: int = 1, plan: Plan = PLAN
) -> tuple[Trial, dict[str, list[float]], dict[str, list[int]]]:
    """100 units, one a tenth of a second; purchases with these chances, of random amounts.

    Returns:
        The rows, what each unit spent by arm, and whether it bought by arm.
    """
    chance = random.Random(seed)
    rows = rows_of(plan)
    amounts: dict[str, list[float]] = {"v1": [], "v2": []}
    bought: dict[str, list[int]] = {"v1": [], "v2": []}
    for unit in range(100):
        arm, rate = ("v2", v2) if unit % 2 else ("v1", v1)
        rows.expose(unit, arm, unit / 10)
        total = 0.0
        if chance.random() < rate:
            for _ in range(chance.randrange(1, 3)):
                amount = chance.uniform(5, 15)
                total += amount
                rows.outcome(unit, "purchase", unit / 10 + chance.uniform(0, 9.9), amount=amount)
        amounts[arm].append(total)
        bought[arm].append(int(total > 0))
    return rows, amounts, bought
