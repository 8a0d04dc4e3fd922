"""The page that ``--help`` prints: usage, what the command does, examples, then its options in panels.

An option is one line where that fits: how it is written, what it does, and flush right the environment variable
with the default (``REPLAY_SPEED=1``). Drawn here because Typer's own page needs three lines for that.
"""

import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from inspect import cleandoc
from textwrap import wrap
from typing import Any

from spyctl.cli.framework.talk import bold, colours, dim
from spyctl.cli.options import OUTPUT

_NARROWEST, _WIDEST = 60, 100
_REST = "Options"
_EXAMPLE = re.compile(r"\s*(\S+=\S+ )?spyctl ")


def page_width() -> int:
    """Return how wide a page may be here."""
    return min(max(shutil.get_terminal_size().columns, _NARROWEST), _WIDEST)


def help_page(command: Any, context: Any) -> str:
    """Return the page of a command or a group; ``context`` is its :class:`typer.Context`."""
    width, colour = page_width(), colours(sys.stdout)
    group = hasattr(command, "commands")
    lines = [f" Usage: {bold(' '.join([context.command_path, *_usage(command, context, group)]), colour)}", ""]
    lines += _about(cleandoc(command.help or ""), width, colour)
    if group:
        for title, names in _by_panel(command.commands[name] for name in command.list_commands(context)).items():
            rows = [(one.name, one.short_help or one.get_short_help_str(200), "") for one in names if not one.hidden]
            lines += _panel(title if title != _REST else "Commands", rows, width, colour)
    params = [param for param in command.get_params(context) if not getattr(param, "hidden", False)]
    if not group:
        arguments = [param for param in params if param.param_type_name == "argument"]
        options = [param for param in params if param.param_type_name == "option"]
        if arguments:
            rows = [(_metavar(param), param.help or "", "") for param in arguments]
            lines += _panel("Arguments", rows, width, colour)
        for title, members in _by_panel(options).items():
            lines += _panel(title, [_row(param) for param in members], width, colour)
    if command.epilog:
        lines += ["", *(f" {line}" for line in cleandoc(command.epilog).splitlines())]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _usage(command: Any, context: Any, group: bool) -> list[str]:
    return ["COMMAND", "[OPTIONS]"] if group else command.collect_usage_pieces(context)


def _about(text: str, width: int, colour: bool) -> Iterator[str]:
    # Sentences are folded; examples stay as they are, their explanations in a column.
    examples = [line.strip().partition("    ") for line in text.splitlines() if _EXAMPLE.match(line)]
    column = max((len(command) for command, _, words in examples if words.strip()), default=0)
    for paragraph in re.split(r"\n\s*\n", text):
        if not _EXAMPLE.match(paragraph):
            yield from (f" {line}" for line in wrap(paragraph, width - 2))
        else:
            for command, _, words in (line.strip().partition("    ") for line in paragraph.splitlines()):
                shown = dim(f"{' ' * (column - len(command))}   {words.strip()}", colour) if words.strip() else ""
                yield f"   {bold(command, colour)}{shown}"
        yield ""


def _by_panel(members: Iterable[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for one in members:
        found.setdefault(getattr(one, "rich_help_panel", None) or _REST, []).append(one)
    if OUTPUT in found:  # what every command has comes last, and --help with it
        found[OUTPUT] = [*found.pop(OUTPUT), found[_REST].pop()]
    return {title: shown for title, shown in found.items() if shown}


def _metavar(param: Any) -> str:
    if param.metavar:
        return str(param.metavar)
    kinds = {"int": "N", "float": "X"}
    return kinds.get(getattr(param.type_descriptor, "__name__", ""), "TEXT")


def _row(param: Any) -> tuple[str, str, str]:
    names = sorted(param.opts, key=len)
    written = ", ".join(names) if param.is_flag else f"{', '.join(names)} {_metavar(param)}"
    bounds = [bound for bound in (getattr(param, "min", None), getattr(param, "max", None)) if bound is not None]
    default = param.default() if callable(param.default) else param.default
    plain = "" if default is None or default is False or default in ("", ()) else str(default)
    variable = param.envvar or ""
    text = f"{param.help or ''}"
    if len(bounds) == 2:
        text = f"{text.rstrip('.')} ({bounds[0]} to {bounds[1]})."
    return (
        written,
        text,
        f"{variable}={plain}"
        if variable and plain and not param.is_flag
        else variable or (f"[{plain}]" if plain and not param.is_flag else ""),
    )


def _panel(title: str, rows: list[tuple[str, str, str]], width: int, colour: bool) -> Iterator[str]:
    inner = width - 4
    first = min(max(len(written) for written, _, _ in rows), inner // 3)
    yield f"{dim('╭─', colour)} {title} {dim('─' * (width - len(title) - 5) + '╮', colour)}"
    for written, text, right in rows:
        for name, words, tail in _folded(written, text, right, first, inner):
            space = " " * (inner - max(first, len(name)) - 2 - len(words) - len(tail))
            shown = f"{bold(name, colour)}{' ' * (first - len(name))}  {words}{space}{dim(tail, colour)}"
            yield f"{dim('│', colour)} {shown} {dim('│', colour)}"
    yield dim("╰" + "─" * (width - 2) + "╯", colour)


def _folded(written: str, text: str, right: str, first: int, inner: int) -> Iterator[tuple[str, str, str]]:
    room = inner - first - 2
    if len(written) > first:
        yield written, "", ""
        written = ""
    if len(text) + (len(right) + 2 if right else 0) <= room:
        yield written, text, right
        return
    folded = wrap(text, room) or [""]
    apart = bool(right) and len(folded[-1]) + len(right) + 2 > room
    for i, words in enumerate(folded):
        yield written if i == 0 else "", words, right if i == len(folded) - 1 and not apart else ""
    if apart:
        yield "", "", right
