"""`meshtrial assign`: the arms of a whole list of units."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from meshtrial.errors import SettingError
from meshtrial.plan.problems import printable

if TYPE_CHECKING:
    from meshtrial.assign.batch import Batch
    from meshtrial.plan.model import Experiment, Plan
    from meshtrial.plan.traffic import Source


def assign(
    plan: Annotated[Path, typer.Argument(help="The plan document.", metavar="PLAN")],
    file: Annotated[Path, typer.Argument(help="Units, one a line: .csv or .parquet.", metavar="FILE")],
    experiment: Annotated[
        list[str] | None,
        typer.Option("--experiment", help="An experiment's id; may stand several times. [all]"),
    ] = None,
    column: Annotated[
        str | None, typer.Option("--column", help="The column that holds the unit, such as user_id.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="File to write, .csv or .parquet. [CSV on standard output]"),
    ] = None,
) -> None:
    r"""Write the arm of every unit of a file, as the sidecar would choose it.

    A list whose column `user_id` has the units:

        meshtrial assign plan.yaml users.csv --column user_id \
          --output arms.parquet

    A column that is named like a source, such as `header:x-country`, is that value of the unit's request,
    and counts for audiences and cohorts. What the file does not say of an audience is taken to hold, and
    told on stderr. Matches are taken to hold.
    """
    import numpy as np  # noqa: F401 - named first among what may be missing: its extra brings pyarrow too

    from meshtrial.cli import unit_files
    from meshtrial.cli.plan_file import read_plan

    compiled = read_plan(plan)
    if output is not None:
        unit_files.suffix_of(output)
    columns = unit_files.columns_of(file)
    sources = {source: str(source) for source in _sources(compiled) if str(source) in columns}
    chosen = _chosen(plan, compiled, experiment)
    tasks = _tasks(file, columns, column, chosen, named=bool(experiment))
    for task in tasks:
        for note in _notes(task.experiment, sources):
            typer.echo(note, err=True)
    rows = 0
    with unit_files.writing(output, _schema()) as write, _progress(shown=output is not None) as show:
        needed = list(dict.fromkeys([*(task.column for task in tasks), *sources.values()]))
        for piece, done in unit_files.pieces(file, needed):
            rows += len(piece[needed[0]])
            write(_table(tasks, piece, sources))
            show(done)
    if output is not None:
        what = f"{rows:,} units, {len(tasks)} experiment{'s' if len(tasks) > 1 else ''}"
        typer.echo(f"{what}: {printable(str(output))}", err=True)


@dataclass(frozen=True, slots=True)
class _Task:
    experiment: "Experiment"
    column: str


def _chosen(path: Path, plan: "Plan", names: list[str] | None) -> "list[Experiment]":
    from meshtrial.cli.plan_file import chosen_experiment

    chosen = [chosen_experiment(path, plan, name) for name in dict.fromkeys(names or ())]
    times = next((e.id for e in chosen if e.unit.switchback), None)
    if times is not None:
        raise SettingError(f"`{times}` assigns windows of time, and a list of units has no times")
    return chosen or list(plan.experiments)


def _tasks(
    file: Path, columns: tuple[str, ...], column: str | None, chosen: "list[Experiment]", *, named: bool
) -> list[_Task]:
    """Which column holds the unit of which experiment."""
    name = printable(str(file))
    if column is not None and column not in columns:
        raise SettingError(f"{name} has no column `{printable(column)}`; it has {_listed(columns)}")
    if column is None and len(columns) == 1:
        column = columns[0]
    tasks: list[_Task] = []
    left_out: list[str] = []
    for experiment in chosen:
        source = str(experiment.unit.source)
        if experiment.unit.switchback is not None:
            left_out.append(f"{experiment.id}: left out, as it assigns windows of time")
        elif source in columns or column is not None:
            tasks.append(_Task(experiment, source if source in columns or column is None else column))
        elif named:
            _no_column(name, columns, experiment)
        else:
            left_out.append(f"{experiment.id}: left out, as there is no column `{source}`")
    if not tasks:
        _no_column(name, columns, chosen[0])
    _check_units([task.experiment for task in tasks if task.column == column])
    for note in left_out:
        typer.echo(note, err=True)
    return tasks


def _no_column(file: str, columns: tuple[str, ...], experiment: "Experiment") -> NoReturn:
    if experiment.unit.switchback is not None:
        raise SettingError("no experiment of the plan assigns units of a list: they assign windows of time")
    message = (
        f"holds the unit of `{experiment.id}`: name it with --column, or call it `{experiment.unit.source}`"
    )
    raise SettingError(f"{file} does not say which column {message}; it has {_listed(columns)}")


def _check_units(experiments: "list[Experiment]") -> None:
    """One column is one kind of unit."""
    by_source = {experiment.unit.source: experiment.id for experiment in experiments}
    if len(by_source) > 1:
        kinds = " and ".join(f"`{experiment}` ({source})" for source, experiment in by_source.items())
        message = "have different units: choose one with --experiment, or name columns like the units"
        raise SettingError(f"the experiments {kinds} {message}")


def _listed(columns: tuple[str, ...]) -> str:
    return ", ".join(printable(name) for name in columns)


def _sources(plan: "Plan") -> "set[Source]":
    """Everything of a request that the decision asks for, of any experiment."""
    from meshtrial.plan.audience import sources_of

    found = {s for cohort in plan.cohorts for s in sources_of(cohort.audience)}
    for experiment in plan.experiments:
        found |= sources_of(experiment.audience)
        found |= {experiment.unit.member} if experiment.unit.member else set()
    return found


def _notes(experiment: "Experiment", sources: "Mapping[Source, str]") -> Iterator[str]:
    from meshtrial.assign.batch import unknown

    of_audience, of_cohorts = (", ".join(sorted(map(str, s))) for s in unknown(experiment, sources))
    if of_audience:
        yield f"{experiment.id}: the file has no {of_audience}; what its audience asks of it is taken to hold"
    if of_cohorts:
        yield f"{experiment.id}: the file has no {of_cohorts}; cohorts that ask for it are taken not to hold"
    if experiment.sticky:
        yield f"{experiment.id}: sticky; arms are those of the buckets, not those that were kept"


def _schema() -> Any:  # noqa: ANN401 - pyarrow has no types
    import pyarrow as pa

    return pa.schema(
        [
            ("unit", pa.string()),
            ("experiment", pa.string()),
            ("arm", pa.string()),
            ("bucket", pa.int64()),
            ("reason", pa.string()),
            ("layer_bucket", pa.int64()),
        ]
    )


def _table(
    tasks: list[_Task], piece: "Mapping[str, list[bytes | None]]", sources: "Mapping[Source, str]"
) -> Any:  # noqa: ANN401 - pyarrow has no types
    """All experiments' rows of a unit beside each other, units in the order of the file."""
    import numpy as np
    import pyarrow as pa

    from meshtrial.assign.batch import assign_batch

    # An empty field of a file is a value that the request does not have.
    known = {source: [value or None for value in piece[name]] for source, name in sources.items()}
    made = [
        _rows(piece[task.column], assign_batch(task.experiment, piece[task.column], known)) for task in tasks
    ]
    if len(made) == 1:
        return made[0]
    units = made[0].num_rows
    order = np.arange(len(made) * units).reshape(len(made), units).T.ravel()
    return pa.concat_tables(made).take(order)


def _rows(units: list[bytes | None], batch: "Batch") -> Any:  # noqa: ANN401 - pyarrow has no types
    import pyarrow as pa

    from meshtrial.assign.batch import NO_BUCKET
    from meshtrial.names import Reason

    def named(positions: Any, names: list[str]) -> Any:  # noqa: ANN401
        indices = pa.array(positions, mask=positions == NO_BUCKET)
        return pa.DictionaryArray.from_arrays(indices, pa.array(names)).cast(pa.string())

    def numbers(values: Any) -> Any:  # noqa: ANN401
        return pa.array(values, mask=values == NO_BUCKET)

    arms = [arm.id for arm in batch.experiment.arms]
    columns = [
        pa.array(units, pa.binary()).cast(pa.string()),
        pa.repeat(batch.experiment.id, len(units)),
        named(batch.arm, arms),
        numbers(batch.bucket),
        named(batch.reason, [reason.value for reason in Reason]),
        numbers(batch.layer_bucket),
    ]
    return pa.table(columns, schema=_schema())


@contextmanager
def _progress(*, shown: bool) -> Iterator[Callable[[float], None]]:
    """What shows how much is done, 0..1: a bar, where somebody can see it."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(
        console=Console(stderr=True), transient=True, disable=not (shown and sys.stderr.isatty())
    ) as bar:
        task = bar.add_task("assigning", total=1.0)
        yield lambda done: bar.update(task, completed=done)
