"""How much is tried: little in `make test`, much in `make proof`."""

import os

PROOF = bool(os.environ.get("MESHTRIAL_PROOF"))


def often(test: int, proof: int) -> int:
    """A count of examples, kills or rounds."""
    return proof if PROOF else test
