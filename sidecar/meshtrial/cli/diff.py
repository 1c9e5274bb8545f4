"""`meshtrial diff`: what a new plan would change, before it is rolled out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meshtrial.plan.problems import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from meshtrial.plan.diff import Change, Difference
    from meshtrial.plan.moves import Move, Place


def diff(
    old: Annotated[Path, typer.Argument(help="The plan in force.", metavar="OLD")],
    new: Annotated[Path, typer.Argument(help="The plan to roll out.", metavar="NEW")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show which units would move between arms, which phases start, and what would bias the data.

    Look before a plan goes into force:

        meshtrial diff plan.yaml new.yaml && mv new.yaml plan.yaml

    Shares are exact, computed from the buckets of both plans; no data is read. Warnings leave the
    exit status 0.
    """
    import msgspec
    from rich.console import Console

    from meshtrial.cli.plan_file import read_plan
    from meshtrial.plan.diff import diff as differences

    found = differences(read_plan(old), read_plan(new))
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(_document(found))))
    else:
        Console(soft_wrap=True).print(_rendered(old, new, found))


def _document(found: "Difference") -> dict[str, Any]:
    return {
        "old": found.old,
        "new": found.new,
        "experiments": [
            {
                "experiment": change.id,
                "change": change.kind.value,
                "phase": {"old": change.old_phase, "new": change.new_phase},
                "new_phase": change.new_phase not in {None, change.old_phase},
                "reassigned": change.reassigned,
                "moves": None if change.moves is None else [_move(move) for move in change.moves],
                "warnings": [
                    {"bias": w.bias.value, "consequence": w.consequence, "advice": w.advice}
                    for w in change.warnings
                ],
            }
            for change in found.changes
        ],
    }


def _move(move: "Move") -> dict[str, Any]:
    return {
        "cohort": move.cohort,
        "from": _place(move.old),
        "to": _place(move.new),
        "share": float(move.share),
        "fraction": str(move.share),
        "of_from": float(move.of_place),
    }


def _place(place: "Place | None") -> dict[str, str] | None:
    return None if place is None else {"arm": place.arm, "reason": place.reason.value}


def _rendered(old: Path, new: Path, found: "Difference") -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    from meshtrial.plan.diff import Kind

    head = Text(f"{printable(str(old))} -> {printable(str(new))}", "bold")
    if found.old == found.new:
        return Group(head, Text("the plans mean the same"))
    same = [change.id for change in found.changes if change.kind is Kind.SAME]
    parts: list[RenderableType] = [head]
    for change in found.changes:
        if change.kind is not Kind.SAME:
            parts.append(Text())
            parts += _change(change)
    if same:
        parts += [Text(), Text(f"unchanged: {', '.join(same)}")]
    return Group(*parts)


def _change(change: "Change") -> "list[RenderableType]":
    from rich.text import Text

    title = Text(change.id, "bold")
    title.append(f": {change.kind.value}, {_phase(change)}", "not bold")
    parts: list[RenderableType] = [title]
    if change.reassigned:
        parts.append(Text("all units are assigned anew; these are the shares to expect"))
    if change.moves:
        parts.append(_table(change.moves))
    elif change.moves is not None:
        parts.append(Text("no unit moves"))
    for warned in change.warnings:
        line = Text(f"! {warned.bias.value}: ", "yellow")
        line.append(f"{warned.consequence}.", "default")
        parts += [line, Text(f"  Rather: {warned.advice}.")]
    return parts


def _phase(change: "Change") -> str:
    if change.old_phase == change.new_phase:
        return f"stays in phase {change.new_phase}"
    if change.new_phase is None:
        return f"phase {change.old_phase} ends"
    if change.old_phase is None:
        return f"phase {change.new_phase} starts"
    return f"phase {change.old_phase} ends, {change.new_phase} starts"


def _table(moves: "tuple[Move, ...]") -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    from meshtrial.plan.bias import percent

    by_cohort = len({move.cohort for move in moves}) > 1
    table = Table()
    for heading in (*(["cohort"] if by_cohort else []), "from", "to"):
        table.add_column(heading)
    table.add_column("of all", justify="right")
    table.add_column("of from", justify="right")
    for move in moves:
        cells = [_named(move.old), _named(move.new), percent(move.share), percent(move.of_place)]
        table.add_row(*map(Text, [move.cohort, *cells] if by_cohort else cells))
    return table


def _named(place: "Place | None") -> str:
    from meshtrial.names import Reason

    if place is None:
        return "(no experiment)"
    if place.reason is Reason.SPLIT:
        return place.arm
    return (
        f"({place.reason.value}) {place.arm}"
        if place.reason is Reason.DISABLED
        else f"({place.reason.value})"
    )
