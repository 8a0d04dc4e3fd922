"""``spyctl config``: the settings in force, and where each comes from."""

import os
from collections.abc import Iterator
from typing import NamedTuple

import typer

from spyctl.cli.framework.command import add_command, command_group
from spyctl.cli.framework.settings import (
    PROJECT_FILE,
    SECRETS,
    Option,
    Settings,
    load,
    options,
    user_file,
)
from spyctl.cli.framework.streams import write, write_document
from spyctl.cli.options import Json
from spyctl.errors import ExitCode, path_text
from spyctl.terminal.outgoing import mask_url
from spyctl.terminal.tables import table

_MOST_COMMANDS = 3


class Setting(NamedTuple):
    """A setting with its value and origin, the same for all of ``commands``; none for a secret."""

    setting: str
    value: str
    origin: str
    commands: list[str]


def show(context: typer.Context, *, as_json: Json = False) -> int:
    """Show every setting with its value and its origin: environment, file or default. Secrets are masked.

        spyctl config show
        spyctl config show --json

    A key in a file is an option's name, such as data-dir = "~/es"; a table, such as [replay], applies to one command.
    Problems in the files are reported first.
    """

    group = context.find_root().command
    settings = load(group)
    rows = [*_settings(list(options(group)), settings), *_secrets()]
    files = [user_file(), PROJECT_FILE]
    if as_json:
        document = {
            "settings": [row._asdict() for row in rows],
            "files": [{"path": str(path), "read": path in settings.files} for path in files],
            "problems": settings.problems,
        }
        write_document(document)
    else:
        cells = [(row.setting, row.value or "·", row.origin, _commands_text(row.commands)) for row in rows]
        for line in table(("setting", "value", "from", "commands"), cells):
            write(line)
        texts = (f"{path_text(path)}{'' if path in settings.files else ' (not found)'}" for path in files)
        write(f" files: {', '.join(texts)}")
    return ExitCode.OK


def _commands_text(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= _MOST_COMMANDS else f"{len(names)} commands"


def _settings(known: list[Option], settings: Settings) -> Iterator[Setting]:
    # One row for the commands in which a setting has the same value for the same reason.
    commands: dict[tuple[str, str, str], list[str]] = {}
    for option in known:
        value, origin = _value(option, settings)
        shown = mask_url(value) if option.is_url else value
        commands.setdefault((option.name, shown, origin), []).append(option.command)
    yield from (Setting(*row, names) for row, names in sorted(commands.items()))


def _secrets() -> Iterator[Setting]:
    for name in SECRETS:
        if secret := os.environ.get(name, "").strip():
            yield Setting(name, f"…{secret[-4:]}" if len(secret) >= 12 else "…", "environment", [])


def _value(option: Option, settings: Settings) -> tuple[str, str]:
    # The value in force, and where it comes from.
    param = option.param
    if text := os.environ.get(param.envvar):
        return text, param.envvar
    path = settings.origins.get((option.command, option.name))
    if path is None:
        shown = param.default if not isinstance(param.default, list | tuple) else " ".join(map(str, param.default))
        return "" if shown in (None, False) else str(shown), "default"
    value = settings.default_of(option)
    return ", ".join(value) if isinstance(value, tuple) else str(value), path_text(path)


app = command_group("The settings in force and where each comes from.")
add_command(app, show)
