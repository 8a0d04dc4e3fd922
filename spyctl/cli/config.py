"""``spyctl config``: the settings in force, and where each comes from."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from spyctl.cli.framework.command import Command, Group
from spyctl.cli.framework.settings import (
    PROJECT_FILE,
    SECRETS,
    Option,
    Settings,
    load,
    mask_userinfo,
    options,
    user_file,
)
from spyctl.cli.framework.streams import write
from spyctl.cli.options import Json
from spyctl.errors import ExitCode
from spyctl.terminal.tables import table

app = typer.Typer(
    help="The settings in force and where each comes from.",
    cls=Group,
    invoke_without_command=True,
    rich_markup_mode=None,
)
_MOST_COMMANDS = 3


@app.callback()
def _config(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        write(context.get_help())


@app.command(cls=Command)
def show(context: typer.Context, as_json: Json = False) -> int:
    """Show every setting with its value and its origin: environment, file or default. Secrets are masked.

        spyctl config show
        spyctl config show --json

    A key of a file is an option's name, as data-dir = "~/es"; a table, as [replay], is for one command. What is
    wrong with the files is said before.
    """
    import orjson

    from spyctl.paths import path_text

    group = context.find_root().command
    settings = load(group)
    rows = list(_settings(list(options(group)), settings))
    files = [user_file(), PROJECT_FILE]
    if as_json:
        document = {
            "settings": [dict(zip(("setting", "value", "origin", "commands"), row, strict=True)) for row in rows],
            "files": [{"path": str(path), "read": path in settings.files} for path in files],
            "problems": settings.problems,
        }
        write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
    else:
        cells = [(name, value or "·", origin, _commands(commands)) for name, value, origin, commands in rows]
        for line in table(("setting", "value", "from", "of"), cells):
            write(line)
        read = (f"{path_text(path)}{'' if path in settings.files else ' (not there)'}" for path in files)
        write(f" files: {', '.join(read)}")
    return ExitCode.OK


def _commands(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= _MOST_COMMANDS else f"{len(names)} commands"


def _settings(known: list[Option], settings: Settings) -> Iterator[tuple[str, str, str, list[str]]]:
    # One row for the commands in which a setting has the same value for the same reason.
    found: dict[tuple[str, str, str], list[str]] = {}
    for option in known:
        value, origin = _value(option, settings)
        found.setdefault((option.name, mask_userinfo(value), origin), []).append(option.command)
    yield from ((name, value, origin, commands) for (name, value, origin), commands in sorted(found.items()))
    for name in SECRETS:
        if secret := os.environ.get(name, "").strip():
            yield name, f"…{secret[-4:]}" if len(secret) >= 12 else "…", "environment", []


def _value(option: Option, settings: Settings) -> tuple[str, str]:
    from spyctl.paths import path_text

    param = option.param
    if text := os.environ.get(param.envvar):
        return text, param.envvar
    origin = settings.origins.get((option.command, option.name))
    if origin is not None:
        defaults: Any = settings.defaults
        for part in option.command.split():
            defaults = defaults[part]
        value = defaults[param.name]
        return ", ".join(value) if isinstance(value, tuple) else str(value), path_text(Path(origin))
    return "" if param.default in (None, False) else str(param.default), "default"
