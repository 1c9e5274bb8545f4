"""Settings as command-line options, secrets, and `meshtrial.toml`."""

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import typer

from meshtrial.errors import SettingError
from meshtrial.listening import Address
from meshtrial.settings import SECRETS, SETTINGS, Secret, Setting

CONFIG_VARIABLE = "MESHTRIAL_CONFIG"
_TOKEN = re.compile(r"[ -~]+")
_CONFIG_FILE = "meshtrial.toml"


def option(setting: Setting) -> Any:  # noqa: ANN401 - Typer's own marker type is not public
    """The option of a setting; Typer reads its variable as well."""
    return typer.Option(setting.flag, envvar=setting.variable, help=setting.meaning)


def address(setting: Setting, text: str) -> Address:
    """The address that a setting holds.

    Raises:
        SettingError: It holds none; the setting is named.
    """
    try:
        return Address.of(text)
    except SettingError as error:
        raise SettingError(f"{setting.flag}: {error}") from None


def read_secret(secret: Secret, file: Path | None) -> str | None:
    """The secret from its variable, else from its file, without white space around it; None where neither is.

    Raises:
        SettingError: The file cannot be read, or the secret is empty.
    """
    text = os.environ.get(secret.variable)
    where = f"the variable {secret.variable}"
    if text is None:
        if file is None:
            return None
        where = str(file)
        try:
            text = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(f"{secret.file.flag}: {file} cannot be read: {_why(error)}") from error
    if not text.strip():
        raise SettingError(f"{where} is empty; it should hold {secret.meaning}")
    if not _TOKEN.fullmatch(text.strip()):
        raise SettingError(f"{where} must hold one line of printable ASCII")
    return text.strip()


def require_secret(secret: Secret, file: Path | None, *, of: str = "") -> str:
    """Like `read_secret`, and an error where there is none.

    Args:
        secret: Which.
        file: Where it may stand.
        of: The command that it must be the same as; "" where a new one will do.

    Raises:
        SettingError: There is no such secret.
    """
    text = read_secret(secret, file)
    if text is None:
        how = (
            f"set {secret.variable} to that of `{of}`"
            if of
            else f"`export {secret.variable}=$(openssl rand -hex 32)`"
        )
        raise SettingError(f"no {secret.title}: {how}, or {secret.file.flag} FILE")
    return text


def config_defaults() -> dict[str, str]:
    """What `meshtrial.toml` says, by the settings' names.

    Raises:
        SettingError: It cannot be read, or holds what is no setting.
    """
    named = os.environ.get(CONFIG_VARIABLE)
    path = Path(named or _CONFIG_FILE)
    if not named and not path.exists():
        return {}
    try:
        entries = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingError(f"{path} cannot be read: {_why(error)}") from error
    known = {s.flag.removeprefix("--"): s.name for s in (*SETTINGS, *(secret.file for secret in SECRETS))}
    for key, value in entries.items():
        if key not in known:
            raise SettingError(f"{path}: unknown setting `{key}`; known: {', '.join(sorted(known))}")
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise SettingError(f"{path}: `{key}` must be text or a number")
    return {known[key]: str(value) for key, value in entries.items()}


def _why(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
