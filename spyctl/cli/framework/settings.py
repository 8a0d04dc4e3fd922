"""Settings from files: the user's own, and harmless ones from the current folder.

Options with an environment variable may be set in a file; switches of one run may not. A key is an option's name
(``data-dir = "~/es"``) and applies to every command that has the option; a table (``[replay]``) applies to one
command. Precedence: flag > environment > ``./spyctl.toml`` > user config > default. ``./spyctl.toml`` may come with
somebody else's folder, so it sets neither hosts nor credentials nor keys.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from spyctl.errors import UsageError, expanded
from spyctl.terminal.outgoing import learn, learn_url

PROJECT_FILE = Path("spyctl.toml")
_LARGEST = 16_384  # bytes of a file: one that somebody else made may take minutes to read
HARMLESS = frozenset(
    {
        "ack", "data-dir", "dataset", "date", "end", "max-quiet", "order", "plain", "prefix",
        "reorder-window", "schema", "speed", "start", "strike-range", "symbol", "tz", "underlying",
    }
)  # fmt: skip
SECRETS = ("POLYGON_API_KEY", "MASSIVE_API_KEY", "DATABENTO_API_KEY", "NATS_PASSWORD", "NATS_TOKEN")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "WSS_PROXY", "WS_PROXY")


def user_file() -> Path:
    """Return where the user's own file is: ``SPYCTL_CONFIG``, else ``spyctl/config.toml`` in their configuration."""
    if named := os.environ.get("SPYCTL_CONFIG"):
        return expanded(named)
    from platformdirs.unix import Unix  # 10 ms that completion does not have

    return Unix("spyctl").user_config_path / "config.toml"


@dataclass(slots=True)
class Settings:
    """What the files set: ``defaults`` as Typer's ``default_map``, ``origins`` by command and option.

    ``problems`` are sentences about what is wrong in them; ``files`` are those that exist.
    """

    defaults: dict[str, Any] = field(default_factory=dict)
    origins: dict[tuple[str, str], Path] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)

    def default_of(self, option: "Option") -> Any:
        """Return what the files set an option to, ``None`` where they do not."""
        table: Any = self.defaults
        for part in option.command.split():
            table = table.get(part, {})
        return table.get(option.param.name)


@dataclass(frozen=True, slots=True)
class Option:
    """An option that may be set: its command (``server run``), its name without dashes, and Typer's parameter."""

    command: str
    name: str
    param: Any

    @property
    def aliases(self) -> list[str]:
        """All its long names, without dashes."""
        return [name.removeprefix("--") for name in self.param.opts if name.startswith("--")]

    @property
    def is_url(self) -> bool:
        """Whether its value names servers by their URLs, which may hold passwords and keys."""
        return "URL" in (self.param.metavar or "")


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
    """Read both files. Raises :class:`UsageError` where one is not TOML or cannot be read."""
    settings = Settings()
    known = list(options(group))
    for path, allowed in ((user_file(), None), (PROJECT_FILE, HARMLESS)):
        if path.is_file():
            settings.files.append(path)
            _File(path, allowed, known, settings).read()
    return settings


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    allowed: frozenset[str] | None  # None: any
    known: list[Option]
    settings: Settings

    def read(self) -> None:
        document = self._document()
        tables = {key: value for key, value in document.items() if isinstance(value, dict)}
        self._apply({key: value for key, value in document.items() if key not in tables}, self.known)
        commands = {option.command.split()[0] for option in self.known}
        for name, table in tables.items():
            if name in commands:
                members = [option for option in self.known if option.command.split()[0] == name]
                self._apply(table, members, f"[{name}] ")
            else:
                self._complain(
                    f"there is no command [{name}]{_suggestion(name, {command: command for command in commands})}"
                )

    def _document(self) -> dict[str, Any]:
        import tomllib

        try:
            if self.path.stat().st_size > _LARGEST:
                raise ValueError(f"more than {_LARGEST:,} bytes")
            return tomllib.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:  # also of numbers and nests without end
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise UsageError(f"{self.path} cannot be read ({reason})", "fix it, or move it away") from None

    def _apply(self, values: dict[str, Any], known: list[Option], where: str = "") -> None:
        for key, value in values.items():
            name = key.replace("_", "-")
            members = [option for option in known if option.name == name]
            if not members:
                suggestion = _suggestion(name, {alias: option.name for option in known for alias in option.aliases})
                self._complain(f"there is no setting {where}{key}{suggestion}")
            elif self.allowed is not None and name not in self.allowed:
                self._complain(f"{key} may not be set here, only in the user config ({user_file()})")
            else:
                for option in members:
                    self._set(option, value)

    def _set(self, option: Option, value: Any) -> None:
        table = self.settings.defaults
        for part in option.command.split():
            table = table.setdefault(part, {})
        table[option.param.name] = _as_typed(option.param, value)
        self.settings.origins[option.command, option.name] = self.path

    def _complain(self, problem: str) -> None:
        self.settings.problems.append(f"{self.path}: {problem}")


def _suggestion(word: str, known: dict[str, str]) -> str:
    # ``known``: what may be written, and what it is called.
    close = get_close_matches(word, sorted(known), 1)
    return f"; did you mean {known[close[0]]}?" if close else ""


def _as_typed(param: Any, value: Any) -> Any:
    # As if it had been typed: Typer converts texts, and says what is wrong with them.
    if isinstance(value, bool):
        return value
    if param.multiple:
        return tuple(map(str, value)) if isinstance(value, list) else (str(value),)
    text = str(value)
    return str(expanded(text)) if text.startswith("~") else text


def learn_secrets(known: Iterable[Option], settings: Settings, arguments: Sequence[str]) -> None:
    """Have what the environment, the files and the command line hold of secrets masked in all that is written."""
    for name in SECRETS:
        learn(os.environ.get(name))
    for name in PROXIES:
        learn_url(os.environ.get(name) or os.environ.get(name.lower()))
    for option in known:
        if option.is_url:
            learn_url(os.environ.get(option.param.envvar))
            learn_url(str(settings.default_of(option) or ""))
    for argument in arguments:
        if "://" in argument:
            learn_url(argument.partition("=")[2] if argument.startswith("--") else argument)
