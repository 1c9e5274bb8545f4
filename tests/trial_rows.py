"""A store's table, made by hand: exposures and outcomes of one experiment at chosen seconds."""

from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from meshtrial.store.schema import SCHEMA

START = 1_790_000_000
"""Second 0 of every trial here, in seconds since 1970."""


def nanoseconds(second: float) -> int:
    """A moment of the trial, in nanoseconds since 1970."""
    return round((START + second) * 1e9)


@dataclass
class Trial:
    """Rows of one experiment."""

    phase: str
    plan: str
    kind: str = "header:x-user-id"
    rows: list[dict[str, object]] = field(default_factory=list)

    def expose(
        self,
        unit: int,
        arm: str,
        second: float,
        phase: str | None = None,
        exposed: bool = True,
        **other: object,
    ) -> None:
        usual = {"Experiment": "rank-v2", "Plan": self.plan, "Phase": phase or self.phase}
        self._add("meshtrial.exposure", unit, second, **{**usual, "Arm": arm, "Exposed": exposed, **other})

    def outcome(self, unit: int, name: str, second: float, **values: float) -> None:
        self._add("meshtrial.outcome", unit, second, Outcome=name, OutcomeValues=list(values.items()))

    def request(self, unit: int | None, arm: str | None, second: float, **other: object) -> None:
        """A request in the proxy's access log; without a unit, one that failed open."""
        decided = {
            "Experiment": "rank-v2",
            "Plan": self.plan,
            "Phase": self.phase,
            "Arm": arm,
            "Exposed": True,
        }
        failed = unit is None
        usual = {"Duration": 5_000_000, "Status": 200, "FailedOpen": failed, **({} if failed else decided)}
        self._add("meshtrial.request", unit, second, **{**usual, **other})

    def took(
        self,
        plan: str,
        document: str,
        second: float,
        experiment: str = "rank-v2",
        *,
        imported: bool = False,
    ) -> None:
        """A sidecar took a plan into force, or an import came with one."""
        attributes = [("meshtrial.experiment.document", document)]
        if imported:
            attributes.append(("meshtrial.imported", "true"))
        columns = {"Experiment": experiment, "Plan": plan, "SpanAttributes": attributes}
        self._add("meshtrial.experiment", None, second, **columns)

    def connection(self) -> duckdb.DuckDBPyConnection:
        """An engine that has the rows as its view `otel_traces`."""
        connection = duckdb.connect()
        connection.register("otel_traces", self.table())
        return connection

    def table(self) -> pa.Table:
        """The rows as a store has them."""
        columns = {name: [row.get(name) for row in self.rows] for name in SCHEMA.names}
        return pa.table(columns, schema=SCHEMA)

    def _add(self, span: str, unit: int | None, second: float, **columns: object) -> None:
        self.rows.append(
            {
                "SpanName": span,
                "Unit": unit,
                "UnitKind": self.kind,
                "Timestamp": nanoseconds(second),
                **columns,
            }
        )
