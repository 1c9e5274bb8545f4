"""`python -m meshtrial` is the command `meshtrial`."""

from meshtrial.cli.main import main

main()
