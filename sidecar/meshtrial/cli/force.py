"""`meshtrial force`: the header by which a tester gets an arm of their choice."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshtrial import settings
from meshtrial.cli.options import option, require_secret
from meshtrial.errors import SettingError
from meshtrial.plan import scalars
from meshtrial.plan.problems import listed, printable, suggestion

if TYPE_CHECKING:
    from meshtrial.plan.model import Arm, Experiment

LONGEST = 30 * 86_400
"""Seconds: a header that has leaked is of no use after it."""


def force(
    experiment: Annotated[str, typer.Argument(help="The experiment's id in the plan.", metavar="EXPERIMENT")],
    arm: Annotated[str, typer.Argument(help="The arm's id in the experiment.", metavar="ARM")],
    lasting: Annotated[
        str, typer.Option("--for", help="How long it is valid: 90s, 30m, 12h, 7d; at most 30d.")
    ] = "1h",
    plan: Annotated[Path, option(settings.PLAN)] = Path(settings.PLAN.default),
    key_file: Annotated[Path | None, option(settings.KEY.file)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    r"""Print a signed request header that gives whoever sends it this arm, for trying it out.

    As part of a request:

        curl -H "$(meshtrial force rank-v2 v2 --for 1h)" \
          http://127.0.0.1:10000/recommend

    Needs the key of `meshtrial serve` (MESHTRIAL_KEY or --key-file). Requests with the header are never
    analysed. Anyone who has it can use it until it expires, for this experiment only.
    """
    import time
    from datetime import UTC, datetime

    from meshtrial.assign.force import sign_force
    from meshtrial.cli.plan_file import chosen_experiment, read_plan
    from meshtrial.names import FORCE
    from meshtrial.pseudonym import PseudonymKey

    seconds = scalars.duration(lasting.strip())
    if seconds is None or seconds > LONGEST:
        raise SettingError(
            f"--for must be a duration such as 90s, 30m, 12h or 7d, at most 30d, not {printable(lasting)}"
        )
    chosen = chosen_experiment(plan, read_plan(plan), experiment)
    forced = _chosen_arm(plan, chosen, arm)
    key = PseudonymKey.of(require_secret(settings.KEY, key_file, of="meshtrial serve").encode())
    expiry = int(time.time()) + seconds
    until = datetime.fromtimestamp(expiry, UTC)
    value = sign_force(key, chosen.id, forced.id, expiry)
    if as_json:
        answer = {"header": FORCE, "value": value, "experiment": chosen.id, "arm": forced.id}
        typer.echo(json.dumps({**answer, "expires": f"{until:%Y-%m-%dT%H:%M:%SZ}"}))
        return
    typer.echo(f"{FORCE}: {value}")
    typer.echo(f"valid until {until:%Y-%m-%d %H:%M:%S} UTC", err=True)


def _chosen_arm(plan: Path, experiment: "Experiment", arm_id: str) -> "Arm":
    arm = experiment.arm(arm_id)
    if arm is None:
        known = [arm.id for arm in experiment.arms]
        near = suggestion(arm_id, known) or f"; it has {listed(known)}"
        raise SettingError(
            f"{printable(str(plan))}: `{experiment.id}` has no arm `{printable(arm_id)}`{near}"
        )
    return arm
