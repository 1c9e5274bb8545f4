"""Plan -> a complete Envoy bootstrap, as YAML.

Built from Envoy's own typed messages, so that a misspelt field cannot be written. Pure: the
same plan and target give the same text.
"""

import shlex

import yaml
from betterproto2 import Casing
from envoy_data_plane.envoy.config.bootstrap import v3 as bootstrap

from meshtrial.emit.address import bind_loopback
from meshtrial.emit.clusters import clusters
from meshtrial.emit.listener import http_listener
from meshtrial.emit.target import Target
from meshtrial.plan.model import Plan


def envoy(plan: Plan, target: Target) -> str:
    """Write the configuration of one Envoy that runs the plan.

    Returns:
        YAML for `envoy -c`, headed by the plan's digest and the command that makes it again.

    Raises:
        SettingError: An address, endpoint or path of the target cannot be used.
        NotExpressible: The plan asks for what this configuration cannot do.
    """
    resources = bootstrap.BootstrapStaticResources(
        listeners=[http_listener(plan, target)], clusters=clusters(plan, target)
    )
    whole = bootstrap.Bootstrap(static_resources=resources)
    if target.admin is not None:
        whole.admin = bootstrap.Admin(address=bind_loopback(target.admin, "admin"))
    text = yaml.safe_dump(whole.to_dict(casing=Casing.SNAKE), sort_keys=False, allow_unicode=True, width=120)
    return f"{_origin(plan, target)}\n{text}"


def _origin(plan: Plan, target: Target) -> str:
    command = " \\\n#   ".join(shlex.join(words) for words in _command(target))
    return (
        f"# Envoy 1.40 configuration for plan {plan.digest}.\n"
        "# Made by the command below: change the plan or the command and make it again.\n"
        f"#\n# {command}\n"
    )


def _command(target: Target) -> list[list[str]]:
    """The words of the command line, one list for each printed line."""
    optional = {
        "--admin": target.admin,
        "--access-log": target.access_log,
        "--default-cluster": target.default_cluster,
    }
    return [
        ["meshtrial", "emit", "envoy", "PLAN"],
        ["--listen", target.listen],
        *(
            ["--endpoint", f"{name}={at}"]
            for name in sorted(target.endpoints)
            for at in target.endpoints[name]
        ),
        ["--sidecar", target.sidecar],
        ["--collector", target.collector],
        ["--message-timeout", f"{target.message_timeout_ms}ms"],
        *([flag, value] for flag, value in optional.items() if value is not None),
    ]
