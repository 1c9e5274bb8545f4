"""Write again what is made from code; tests hold each equal to its source."""

import json
import subprocess
import sys
from pathlib import Path

from meshtrial.analysis.report_parts import report_schema
from meshtrial.doctor.checks import TABLE_HEAD, checks_table
from meshtrial.emit.envoy import envoy
from meshtrial.emit.target import Target
from meshtrial.plan.load import load
from meshtrial.settings import settings_page

ROOT = Path(__file__).parents[1]

command = [sys.executable, "-m", "grpc_tools.protoc", "-Iprotos", "--python_out=sidecar", "--pyi_out=sidecar"]
subprocess.run([*command, "meshtrial/doors/ext_proc.proto"], check=True, cwd=ROOT)
(ROOT / "docs/report.schema.json").write_text(json.dumps(report_schema(), indent=2) + "\n")
(ROOT / "docs/settings.md").write_text(settings_page())
quickstart = Target(
    listen="0.0.0.0:10000",
    endpoints={"model-v1": ("127.0.0.1:8001",), "model-v2": ("127.0.0.1:8002",)},
    sidecar="127.0.0.1:9002",
    collector="127.0.0.1:4317",
    admin="127.0.0.1:9901",
)
plan = load((ROOT / "envoy/quickstart-plan.yaml").read_text(), "quickstart-plan.yaml")
(ROOT / "envoy/quickstart.yaml").write_text(envoy(plan, quickstart))
doctor = ROOT / "docs/doctor.md"
doctor.write_text(doctor.read_text().partition(TABLE_HEAD)[0] + checks_table())
