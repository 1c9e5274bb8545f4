"""Every setting of every command: name, unit, default and why.

A setting comes from its flag, else its variable, else `meshtrial.toml` in the working directory (or the
file that `MESHTRIAL_CONFIG` names), else its default. Secrets come from a file or a variable, never
from a flag: flags are seen by every process of the machine. `docs/settings.md` is made from this module.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting."""

    name: str
    meaning: str
    """What it does, with its unit."""
    default: str = ""
    """As text; empty where there is none."""
    why: str = ""
    """Why this default."""
    commands: tuple[str, ...] = ()

    @property
    def flag(self) -> str:
        """The command line's name."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment's name."""
        return "MESHTRIAL_" + self.name.upper()


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that is read from a variable or from a file, and shown nowhere."""

    name: str
    title: str
    """What it is called."""
    meaning: str
    commands: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        """The variable that may hold the secret itself."""
        return "MESHTRIAL_" + self.name.upper()

    @property
    def file(self) -> Setting:
        """The setting that names the file that may hold it."""
        return Setting(f"{self.name}_file", f"File that holds {self.meaning}.", commands=self.commands)


LISTEN = Setting(
    "listen",
    "Where the proxy reaches the sidecar (gRPC): HOST:PORT or unix:/path.",
    "127.0.0.1:9002",
    "Whoever reaches it can write exposures, so it listens to this machine only.",
    ("serve", "up"),
)
ADMIN = Setting(
    "admin",
    "Where /healthz, /metrics and /v1/explain of the sidecar are served: HOST:PORT.",
    "127.0.0.1:9003",
    "For operators, not for clients: /v1/explain shows units in clear.",
    ("serve", "up"),
)
COLLECTOR = Setting(
    "collector",
    "URL of the collector: the OTLP/HTTP receiver that spans go to, and where files are imported.",
    "http://127.0.0.1:4318",
    "OTLP's own port, where `meshtrial collect` listens.",
    ("serve", "outcome import", "exposure import"),
)
SPOOL = Setting(
    "spool",
    "Directory of one sidecar that keeps exposure spans until the collector has them; 256 MiB at most.",
    "meshtrial-spool",
    "On disk, because a sidecar may be killed and a collector be away.",
    ("serve",),
)
LATE_AFTER = Setting(
    "late_after",
    "Milliseconds after the proxy received a request at which it is not decided any more; 0 for never. "
    "The proxy's and the sidecar's clocks must agree to within it.",
    "25",
    "Half of the proxy's message timeout: what is decided also arrives in time.",
    ("serve", "up"),
)
DATA = Setting(
    "data",
    "Directory of `up`: store, spool, first arms of sticky experiments, and the secrets that it made.",
    "meshtrial-data",
    "Beside the plan that is being tried.",
    ("up",),
)
STICKY = Setting(
    "sticky",
    "File of the first arms of sticky experiments; without it they last as long as the process.",
    commands=("serve",),
)
STORE = Setting(
    "store",
    "Directory that holds the journal and the Parquet segments.",
    "meshtrial-store",
    "Beside the plan that is being tried.",
    ("collect", "report"),
)
OTLP_GRPC = Setting(
    "otlp_grpc",
    "Where OTLP/gRPC is received: HOST:PORT.",
    "127.0.0.1:4317",
    "OTLP's own port; beyond this machine a token is needed.",
    ("collect", "up"),
)
OTLP_HTTP = Setting(
    "otlp_http",
    "Where OTLP/HTTP and outcomes are received: HOST:PORT.",
    "127.0.0.1:4318",
    "OTLP's own port; beyond this machine a token is needed.",
    ("collect", "up"),
)
FORWARD = Setting(
    "forward",
    "URL of a further OTLP/HTTP receiver, such as Jaeger's, that gets everything that was stored.",
    commands=("collect", "up"),
)
PLAN = Setting(
    "plan",
    "The plan that the experiment stands in.",
    "plan.yaml",
    "The name that the documentation uses.",
    ("report", "size", "force", "exposure import"),
)

KEY = Secret(
    "key",
    "pseudonym key",
    "the pseudonym key, at least 16 bytes, the same for `serve` and `collect`",
    ("serve", "collect", "up", "force"),
)
TOKEN = Secret(
    "token",
    "outcome token",
    "the token that outcomes and imported exposures must carry",
    ("collect", "up", "outcome import", "exposure import"),
)
OTLP_TOKEN = Secret(
    "otlp_token",
    "OTLP token",
    "the token of OTLP spans, needed beyond loopback",
    ("serve", "collect", "up"),
)

SETTINGS = (
    LISTEN,
    ADMIN,
    COLLECTOR,
    SPOOL,
    LATE_AFTER,
    STICKY,
    DATA,
    STORE,
    OTLP_GRPC,
    OTLP_HTTP,
    FORWARD,
    PLAN,
)
FORWARD_TOKEN = Secret(
    "forward_token",
    "token of --forward",
    "the token that the receiver of --forward asks for",
    ("collect", "up"),
)
SECRETS = (KEY, TOKEN, OTLP_TOKEN, FORWARD_TOKEN)


def settings_page() -> str:
    """The reference page of all settings, in Markdown."""
    lines = [
        "# Settings",
        "",
        "A setting comes from its flag, else its variable, else `meshtrial.toml` in the working directory",
        "(`MESHTRIAL_CONFIG` names another file), else its default. In `meshtrial.toml` the key is the",
        "flag's name without dashes in front, such as `late-after = 25`.",
        "",
        "| flag | variable | commands | default | meaning | why this default |",
        "|---|---|---|---|---|---|",
    ]
    for setting in (*SETTINGS, *(secret.file for secret in SECRETS)):
        default = f"`{setting.default}`" if setting.default else ""
        cells = [f"`{setting.flag}`", f"`{setting.variable}`", ", ".join(setting.commands), default]
        lines.append(f"| {' | '.join([*cells, setting.meaning, setting.why])} |")
    lines += ["", "## Secrets", "", "From the variable, else from the file; never from a flag.", ""]
    lines += ["| variable | file | meaning |", "|---|---|---|"]
    lines += [f"| `{s.variable}` | `{s.file.flag}` | {s.meaning} |" for s in SECRETS]
    return "\n".join(lines) + "\n"
