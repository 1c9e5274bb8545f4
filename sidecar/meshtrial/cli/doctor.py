"""`meshtrial doctor`: what is wrong with an Envoy configuration that is to run a plan."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meshtrial.errors import SettingError
from meshtrial.plan.problems import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from meshtrial.doctor.checks import Finding
    from meshtrial.doctor.place import Place


def doctor(
    envoy: Annotated[
        Path,
        typer.Argument(
            help="Envoy's configuration (YAML or JSON), or what /config_dump says.", metavar="ENVOY_YAML"
        ),
    ],
    plan: Annotated[Path, typer.Argument(help="The plan document.", metavar="PLAN")],
    resources: Annotated[
        list[Path] | None,
        typer.Option(help="A file that Envoy reads listeners, routes or clusters from; again for each."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Find what would go wrong between an Envoy configuration and a plan.

    A file before it is used, or what a running Envoy has:

        meshtrial doctor envoy.yaml plan.yaml
        curl -s http://127.0.0.1:9901/config_dump > running.json
        meshtrial doctor running.json plan.yaml

    Each finding has its line and place, what follows from it and what ends it. The exit status is 1
    where one is an error; warnings alone leave it 0.
    """
    import msgspec
    from rich.console import Console

    from meshtrial.cli.plan_file import read_plan
    from meshtrial.doctor.checks import Severity
    from meshtrial.doctor.examine import examine
    from meshtrial.plan.needs import needs_of

    needs = needs_of(read_plan(plan))
    findings = examine([_read(path) for path in (envoy, *(resources or ()))], needs)
    errors = sum(finding.check.severity is Severity.ERROR for finding in findings)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(_document(findings, errors))))
    else:
        console = Console(soft_wrap=True)
        for finding in findings:
            console.print(_rendered(finding))
        console.print(_summary(findings, errors))
    if errors:
        raise typer.Exit(1)


def _read(path: Path) -> "Place":
    from meshtrial.doctor.examine import document
    from meshtrial.plan.tree import PROXY

    name = printable(str(path))
    try:
        with path.open("rb") as file:
            content = file.read(PROXY.characters + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise SettingError(f"{name} cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # not UTF-8, or no path at all
        raise SettingError(f"{name} cannot be read: {error}") from error
    return document(name, text)


def _document(findings: "Sequence[Finding]", errors: int) -> dict[str, Any]:
    listed = [
        {
            "check": finding.check.id,
            "severity": finding.check.severity.value,
            "file": finding.place.source,
            "line": finding.place.line,
            "path": finding.place.path,
            "message": finding.message,
            "consequence": finding.check.consequence,
            "fix": finding.fix,
        }
        for finding in findings
    ]
    return {"errors": errors, "warnings": len(findings) - errors, "findings": listed}


def _rendered(finding: "Finding") -> "RenderableType":
    from rich.text import Text

    check, place = finding.check, finding.place
    text = Text(f"{place.source}:{place.line}: {place.path}\n")
    text.append(f"  {check.severity.value}: ", "bold")
    text.append(f"{printable(finding.message)} [{check.id}]\n")
    text.append(f"  {check.consequence}\n")
    text.append("  fix: ", "bold")
    text.append(f"{printable(finding.fix)}\n")
    return text


def _summary(findings: "Sequence[Finding]", errors: int) -> str:
    if not findings:
        return "nothing found"
    warnings = len(findings) - errors
    return f"{errors} error{'' if errors == 1 else 's'}, {warnings} warning{'' if warnings == 1 else 's'}"
