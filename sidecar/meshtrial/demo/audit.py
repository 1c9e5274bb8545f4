"""Does everybody tell the same story?  The client, Envoy's access log and the stored exposures, compared."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from meshtrial.demo.traffic import Seen
from meshtrial.errors import DemoFailed
from meshtrial.plan.model import Experiment

_EXPOSURES = """
SELECT Arm, count(*) FROM otel_traces
WHERE SpanName = 'meshtrial.exposure' AND Experiment = $experiment AND Exposed GROUP BY Arm
"""


@dataclass(frozen=True, slots=True)
class Split:
    """Requests of one arm, as each witness counts them."""

    arm: str
    planned: float
    """Share of units, 0..1."""
    client: int
    """Answers that came from the arm's model."""
    access_log: int
    """Requests that Envoy sent to the arm's cluster with the arm in their metadata."""
    exposures: int
    """Spans in the store."""


def audit(
    experiment: Experiment, seen: Sequence[Seen], access_log: Path, connection: duckdb.DuckDBPyConnection
) -> tuple[Split, ...]:
    """The split by each witness; every request must have gone where all three say.

    Raises:
        DemoFailed: They differ, or a request failed.
    """
    failed = [one for one in seen if one.status != 200]
    if failed:
        raise DemoFailed(
            f"{len(failed)} of {len(seen)} requests failed, the first with status {failed[0].status}"
        )
    logged = _access_log(access_log)
    strangers = [one for one in seen if not _agree(experiment, one, logged.get(one.request_id))]
    if strangers:
        one = strangers[0]
        line = logged.get(one.request_id)
        raise DemoFailed(f"{len(strangers)} requests went elsewhere than logged, as {one} against {line}")
    by_client = Counter(one.model for one in seen)
    by_log = Counter(str(line["arms"]).partition("=")[2] for line in logged.values() if line["arms"])
    stored = dict(connection.execute(_EXPOSURES, {"experiment": experiment.id}).fetchall())
    split = tuple(
        Split(arm.id, float(experiment.share(arm)), by_client[arm.id], by_log[arm.id], stored.get(arm.id, 0))
        for arm in experiment.arms
    )
    if any(not one.client == one.access_log == one.exposures for one in split):
        raise DemoFailed(f"the client, the access log and the store count differently: {split}")
    return split


def _agree(experiment: Experiment, one: Seen, line: Mapping[str, object] | None) -> bool:
    arm = experiment.arm(one.model)
    if arm is None or line is None:
        return False
    return line["cluster"] == arm.cluster and line["arms"] == f"{experiment.id}={arm.id}"


def _access_log(path: Path) -> dict[str, dict[str, object]]:
    """Envoy's lines by request id."""
    lines = (json.loads(line) for line in path.read_text().splitlines())
    return {line["request_id"]: line for line in lines}
