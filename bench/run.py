"""`make bench`: what a decision costs, against no decision and against a plain grpc.aio server.

::

    python bench/run.py [--seconds 5] [--rounds 5] [--quick] [--json FILE] [--page FILE]

Exit status 1 where the figures are not to be trusted, 2 where something that is needed is missing.
"""

import argparse
import sys

from measure import measured
from report import BEGIN, END, flags, publish, tables
from soundness import complaints

from meshtrial.errors import MeshtrialError


def main() -> int:
    """Measure, print, and say whether the figures can be trusted."""
    wanted = _arguments()
    try:
        results = measured(wanted.seconds, wanted.rounds)
    except MeshtrialError as error:
        print(error, file=sys.stderr)
        return 2
    publish(tables(results), results, wanted, (BEGIN, END))
    wrong = complaints(results)
    for complaint in wrong:
        print(complaint, file=sys.stderr)
    return 1 if wrong else 0


def _arguments() -> argparse.Namespace:
    parser = flags(__doc__)
    parser.add_argument("--seconds", type=_positive, default=5, help="length of each load, 5 if left out")
    parser.add_argument(
        "--rounds", type=_positive, default=5, help="how often each is repeated, 5 if left out"
    )
    parser.add_argument("--quick", action="store_true", help="two rounds of one second: does it run?")
    wanted = parser.parse_args()
    if wanted.quick:
        wanted.seconds, wanted.rounds = 1, 2
    return wanted


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


if __name__ == "__main__":
    sys.exit(main())
