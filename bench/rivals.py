"""`python bench/rivals.py HOW STORE METRICS`: one analysis of a store, in a process of its own.

HOW is `meshtrial`, `pandas` (with tea-tasting) or `ibis` (tea-tasting over Ibis on DuckDB). METRICS are 3 (a
proportion, a mean with CUPED, a ratio) or 4 (a quantile too, which is meshtrial's alone here: tea-tasting's
is a bootstrap). All read the same Parquet files: a unit's arm is that of its first exposure, its outcomes
count for a day from then, and the covariate is the 14 days before. Prints what it took as JSON; loading of
libraries counts for memory alone.
"""

import importlib
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from meshtrial.plan.load import load
from meshtrial.plan.model import Plan

DAY = 86_400
METRICS = """\
  conversion: {kind: proportion, outcome: purchase, window: 1d}
  revenue: {kind: mean, outcome: purchase, value: amount, window: 1d, covariate: 14d}
  ctr: {kind: ratio, numerator: click, denominator: impression, window: 1d}
"""
QUANTILE = "  latency: {kind: quantile, q: 0.95, outcome: inference, value: ms, window: 1d}\n"
_PLAN = """\
apiVersion: meshtrial/v1
metrics:
{metrics}experiments:
  rank-v2:
    unit: {{header: x-user-id}}
    control: v1
    arms: {{v2: {{weight: 50, cluster: model-v2}}, v1: {{weight: 50, cluster: model-v1}}}}
    decision:
      method: sequential
      alpha: 0.05
      power: 0.8
      planned_units: 1000000
      minimum_duration: 14d
      primary: [{{metric: conversion, direction: up, minimum_effect: 1pp}}]
      secondary: [{secondary}]
"""


def plan(metrics: int) -> Plan:
    """The trial, with 3 metrics or 4."""
    texts = METRICS + (QUANTILE if metrics == 4 else "")
    names = ["revenue", "ctr", *(["latency"] if metrics == 4 else [])]
    return load(_PLAN.format(metrics=texts, secondary=", ".join(names)), "bench/rivals.py")


def meshtrial(store: Path, metrics: int) -> dict[str, float]:
    """The whole report, health and all."""
    from meshtrial.analysis.report import make_report
    from meshtrial.store.read import open_reading

    compiled = plan(metrics)
    with open_reading(store, exposures_once=False) as reading:
        report = make_report(reading, compiled, compiled.experiments[0], time.time_ns())
    effects = {metric.metric: metric.comparisons[0].effect for metric in report.metrics}
    return {name: effect for name, effect in effects.items() if effect is not None}


def pandas(store: Path, _: int) -> dict[str, float]:
    """The three metrics: the usual notebook."""
    import numpy as np
    import pandas as pd
    import pyarrow.parquet as pq
    import tea_tasting as tt  # type: ignore[import-untyped] # it has no marker of types

    columns = ["SpanName", "Timestamp", "Unit", "Arm", "Outcome", "OutcomeValues"]
    tables = [pq.read_table(path, columns=columns) for path in sorted(store.glob("segments/*/*.parquet"))]
    rows = pd.concat([table.to_pandas() for table in tables], ignore_index=True)
    is_exposure = rows["SpanName"] == "meshtrial.exposure"
    first = rows[is_exposure].sort_values("Timestamp").drop_duplicates("Unit")[["Unit", "Arm", "Timestamp"]]
    outcomes = rows[~is_exposure].merge(first, on="Unit", suffixes=("", "First"))
    since = outcomes["Timestamp"] - outcomes["TimestampFirst"]
    day, before = pd.Timedelta(days=1), pd.Timedelta(days=14)
    amount = outcomes["OutcomeValues"].map(lambda pairs: dict(pairs).get("amount", 0.0))
    in_window = (since >= pd.Timedelta(0)) & (since < day)
    bought = outcomes["Outcome"] == "purchase"
    values = {
        "conversion": (in_window & bought).astype(float),
        "revenue": np.where(in_window & bought, amount, 0.0),
        "revenue_before": np.where((since < pd.Timedelta(0)) & (since >= -before) & bought, amount, 0.0),
        "clicks": (in_window & (outcomes["Outcome"] == "click")).astype(float),
        "impressions": (in_window & (outcomes["Outcome"] == "impression")).astype(float),
    }
    sums = pd.DataFrame({"Unit": outcomes["Unit"], **values}).groupby("Unit").sum()
    sums["conversion"] = (sums["conversion"] > 0).astype(float)
    units = first.set_index("Unit").join(sums).fillna(dict.fromkeys(values, 0.0))
    units["variant"] = (units["Arm"] == "v2").astype(int)
    return _tasted(tt, units.reset_index()[["variant", *values]])


def ibis(store: Path, _: int) -> dict[str, float]:
    """The three metrics, pushed down as far as the two libraries do."""
    import ibis as ib
    import tea_tasting as tt

    rows = ib.duckdb.connect().read_parquet(str(store / "segments/*/*.parquet"))
    exposures = rows.filter(rows.SpanName == "meshtrial.exposure")
    first = exposures.group_by("Unit").agg(
        First=exposures.Timestamp.min(), Arm=exposures.Arm.argmin(exposures.Timestamp)
    )
    found = rows.filter(rows.SpanName == "meshtrial.outcome")
    outcomes = found.select("Unit", "Outcome", "Timestamp", Amount=found.OutcomeValues["amount"])
    joined = outcomes.join(first, "Unit")
    since = joined.Timestamp.epoch_seconds() - joined.First.epoch_seconds()
    within, before = (since >= 0) & (since < DAY), (since < 0) & (since >= -14 * DAY)
    bought = joined.Outcome == "purchase"
    amount = joined.Amount.fill_null(0.0)
    sums = joined.group_by("Unit").agg(
        conversion=(within & bought).any().cast("float64"),
        revenue=(within & bought).ifelse(amount, 0.0).sum(),
        revenue_before=(before & bought).ifelse(amount, 0.0).sum(),
        clicks=(within & (joined.Outcome == "click")).cast("float64").sum(),
        impressions=(within & (joined.Outcome == "impression")).cast("float64").sum(),
    )
    names = ("conversion", "revenue", "revenue_before", "clicks", "impressions")
    units = first.left_join(sums, "Unit")
    table = units.select(
        variant=(units.Arm == "v2").cast("int8"), **{name: units[name].fill_null(0.0) for name in names}
    )
    return _tasted(tt, table)


def _tasted(tt: Any, units: Any) -> dict[str, float]:  # noqa: ANN401 - without types
    experiment = tt.Experiment(
        conversion=tt.Mean("conversion"),
        revenue=tt.Mean("revenue", covariate="revenue_before"),
        ctr=tt.RatioOfMeans("clicks", "impressions"),
    )
    result = experiment.analyze(units)
    return {name: result[name].treatment - result[name].control for name in ("conversion", "revenue", "ctr")}


HOW: dict[str, Callable[[Path, int], dict[str, float]]] = {
    "meshtrial": meshtrial,
    "pandas": pandas,
    "ibis": ibis,
}


IMPORTS = {
    "meshtrial": ("meshtrial.analysis.report", "meshtrial.store.read"),
    "pandas": ("pandas", "pyarrow.parquet", "tea_tasting"),
    "ibis": ("ibis", "ibis.backends.duckdb", "tea_tasting"),
}
"""What is loaded before the clock starts."""


def _peak_mib() -> float:
    """Of this program: `ru_maxrss` would count the one that started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    how, store, metrics = sys.argv[1:]
    for module in IMPORTS[how]:
        importlib.import_module(module)
    imported, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    effects = HOW[how](Path(store), int(metrics))
    seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = used.ru_utime + used.ru_stime - imported.ru_utime - imported.ru_stime
    print(
        json.dumps(
            {
                "seconds": seconds,
                "cpu": cpu,
                "peak_mib": _peak_mib(),
                "effects": effects,
            }
        )
    )
