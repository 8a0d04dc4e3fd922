"""Settings from files: the user's own, and harmless ones from the folder one works in.

What a deployment sets has an environment variable, and only that may stand in a file; switches of one run may not.
A key is an option's name (``data-dir = "~/es"``) and holds for every command that has the option; a table
(``[replay]``) holds for one command. A flag goes before the environment, that before ``./spyctl.toml``, that
before the user's file, that before the default. ``./spyctl.toml`` comes with a folder that somebody else may have
made, so it sets neither hosts nor credentials nor keys.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from spyctl.errors import UsageError
from spyctl.paths import config_folder

PROJECT_FILE = Path("spyctl.toml")
HARMLESS = frozenset(
    {
        "ack", "data-dir", "dataset", "date", "end", "max-quiet", "order", "plain", "prefix",
        "reorder-window", "schema", "speed", "start", "strike-range", "symbol", "tz",
    }
)  # fmt: skip
SECRETS = ("POLYGON_API_KEY", "MASSIVE_API_KEY", "DATABENTO_API_KEY", "NATS_PASSWORD", "NATS_TOKEN")


def user_file() -> Path:
    """Return where the user's own file is: ``SPYCTL_CONFIG``, else ``spyctl/config.toml`` in their configuration."""
    if named := os.environ.get("SPYCTL_CONFIG"):
        return Path(named).expanduser()
    return config_folder() / "config.toml"


@dataclass(slots=True)
class Settings:
    """What the files set: ``defaults`` as click's ``default_map``, ``origins`` by command and option, and what is
    wrong with them, a sentence each."""

    defaults: dict[str, Any] = field(default_factory=dict)
    origins: dict[tuple[str, str], Path] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Option:
    """An option that may be set: of which command (``server run``), its name without dashes, and click's parameter."""

    command: str
    name: str
    param: Any


def options(group: Any, path: str = "") -> Iterator[Option]:
    """Yield the options of all commands that have an environment variable."""
    for name, command in group.commands.items():
        here = f"{path} {name}".strip()
        if hasattr(command, "commands"):
            yield from options(command, here)
            continue
        for param in command.params:
            if getattr(param, "envvar", None):
                yield Option(here, max(param.opts, key=len).lstrip("-"), param)


def load(group: Any) -> Settings:
    """Read both files. Raises :class:`UsageError` where one is no TOML or cannot be read."""
    found = Settings()
    for path, allowed in ((user_file(), None), (PROJECT_FILE, HARMLESS)):
        if path.is_file():
            found.files.append(path)
            _read(path, allowed, list(options(group)), found)
    return found


def _read(path: Path, allowed: frozenset[str] | None, known: list[Option], found: Settings) -> None:
    import tomllib

    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{path} cannot be read ({reason})", "mend it, or move it away") from None
    tables = {key: value for key, value in document.items() if isinstance(value, dict)}
    _apply(path, "", {key: value for key, value in document.items() if key not in tables}, allowed, known, found)
    for name, table in tables.items():
        members = [option for option in known if option.command.split()[0] == name]
        if not members:
            commands = {option.command.split()[0] for option in known}
            found.problems.append(f"{path}: there is no command [{name}]{_meant(name, commands)}")
        else:
            _apply(path, f"[{name}] ", table, allowed, members, found)


def _apply(
    path: Path, where: str, values: dict[str, Any], allowed: frozenset[str] | None, known: list[Option], found: Settings
) -> None:
    for key, value in values.items():
        name = key.replace("_", "-")
        members = [option for option in known if option.name == name]
        if not members:
            close = _meant(name, {option.name for option in known})
            found.problems.append(f"{path}: there is no setting {where}{key}{close}")
        elif allowed is not None and name not in allowed:
            found.problems.append(f"{path}: {key} may not be set here; the user's own file may ({user_file()})")
        else:
            for option in members:
                *parents, command = option.command.split()
                table = found.defaults
                for parent in (*parents, command):
                    table = table.setdefault(parent, {})
                table[option.param.name] = _as_typed(option.param, value)
                found.origins[option.command, option.name] = path


def _meant(word: str, known: set[str]) -> str:
    close = get_close_matches(word, sorted(known), 1)
    return f"; did you mean {close[0]}?" if close else ""


def _as_typed(param: Any, value: Any) -> Any:
    # As if it had been typed: click turns texts into what the option wants, and says what is wrong with them.
    if isinstance(value, bool):
        return value
    if param.multiple:
        return tuple(map(str, value)) if isinstance(value, list) else (str(value),)
    text = str(value)
    return str(Path(text).expanduser()) if text.startswith("~") else text


def without_secrets(text: str) -> str:
    """Return a text in which each secret of the environment, passwords in URLs included, is masked."""
    for name in SECRETS:
        if len(secret := os.environ.get(name, "").strip()) >= 4:
            text = text.replace(secret, "****")
    return mask_userinfo(text)


def mask_userinfo(text: str) -> str:
    """Return a text in which URLs have no user and no password."""
    import re

    return re.sub(r"(?<=://)[^/@\s]+@", "****@", text)
