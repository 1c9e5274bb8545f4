"""Writes assignments.json: what every plane must answer, by arithmetic of its own.

Shares no code with the package, on purpose: the rules of README.md are written out again in the files
beside this one, so that a mistake in one of the two shows. From the folder `tests`, to standard output:

    python -m vectors.make_assignments > vectors/assignments.json
"""

import json
import sys

from vectors import rule_cases, unit_cases
from vectors.plan_list import PLANS

SPEC_VERSION = "2.0.0"


def document() -> str:
    """The whole file: one plan or case on a line."""
    cases = [*unit_cases.cases(), *rule_cases.cases()]
    plans = ",\n".join(f"{json.dumps(name)}: {json.dumps(plan)}" for name, plan in PLANS.items())
    lines = ",\n".join(map(json.dumps, cases))
    return f'{{"specVersion": "{SPEC_VERSION}",\n"plans": {{\n{plans}\n}},\n"cases": [\n{lines}\n]}}\n'


if __name__ == "__main__":
    sys.stdout.write(document())
