"""Draw a report as the terminal shows it.

`python docs/picture.py meshtrial-demo/report.json docs/report.svg`
"""

import re
import sys
from pathlib import Path

import msgspec
from rich.console import Console

from meshtrial.analysis.render import render
from meshtrial.analysis.report_parts import Report

source, target = sys.argv[1:]
with Path("/dev/null").open("w") as nowhere:
    console = Console(record=True, width=92, file=nowhere)
    console.print(render(msgspec.json.decode(Path(source).read_bytes(), type=Report)))
drawn = console.export_svg(title="meshtrial report digits-v2")
# Without the web fonts that rich asks for: a picture should load nothing.
Path(target).write_text(re.sub(r"\s*@font-face \{.*?\}", "", drawn, flags=re.DOTALL))
