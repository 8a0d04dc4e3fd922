"""The pages of a command: ``--help`` prints all of it, ``-h`` what most users need, without environment variables.

Usage, what the command does, examples, then its options in panels. An option is one line where that fits: how it is
written, what it does, and flush right the environment variable with the default (``REPLAY_SPEED=1``). Drawn here
because Typer's own page needs three lines for that.
"""

import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from inspect import cleandoc
from textwrap import wrap
from typing import Any, NamedTuple

from spyctl.cli.framework.streams import colours
from spyctl.terminal.text import bold, dim


class Panel(str):
    """The title of a panel of options; those declared in ``PANEL.seldom`` are on the long page alone."""

    is_seldom = False

    @property
    def seldom(self) -> "Panel":
        """The same panel, for an option that few need."""
        panel = Panel(self)
        panel.is_seldom = True
        return panel


OPTIONS = Panel("Options")  # of options that name none
OUTPUT = Panel("Output")  # of the options that every command has; it comes last
_NARROWEST, _WIDEST = 60, 100
_EXAMPLE = re.compile(r"\s*(\S+=\S+ )?spyctl ")
_METAVARS = {int: "N", float: "X"}


class Row(NamedTuple):
    """A line of a panel: how it is written, what it does, and flush right how else it can be set."""

    written: str
    text: str
    setting: str = ""


def page_width() -> int:
    """Return how wide a page may be here."""
    return min(max(shutil.get_terminal_size().columns, _NARROWEST), _WIDEST)


def help_page(command: Any, context: Any, *, brief: bool = False) -> str:
    """Return the page of a command or a group, or a ``brief`` one; ``context`` is its :class:`typer.Context`."""
    page = _Page(page_width(), colours(sys.stdout))
    is_group = hasattr(command, "commands")
    usage = ["COMMAND", "[OPTIONS]"] if is_group else command.collect_usage_pieces(context)
    lines = [f" Usage: {page.bold(' '.join([context.command_path, *usage]))}", ""]
    lines += page.about(cleandoc(command.help or ""))
    panels = _command_panels(command, context) if is_group else _option_panels(command, context, brief=brief)
    for title, rows in panels:
        lines += page.panel(title, rows)
    if brief and not is_group:
        more = f"{context.command_path} --help, spyctl help connections, spyctl help output"
        lines += ["", *(f" {line}" for line in wrap(f"More: {more}", page.width - 2))]
    if command.epilog:
        lines += ["", *(f" {line}" for line in cleandoc(command.epilog).splitlines())]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _command_panels(group: Any, context: Any) -> Iterator[tuple[str, list[Row]]]:
    commands = [group.commands[name] for name in group.list_commands(context)]
    for title, members in _by_panel(command for command in commands if not command.hidden).items():
        rows = [Row(command.name, command.short_help or command.get_short_help_str(200)) for command in members]
        yield "Commands" if title == OPTIONS else title, rows


def _option_panels(command: Any, context: Any, *, brief: bool) -> Iterator[tuple[str, list[Row]]]:
    *params, brief_help, full_help = command.get_params(context)
    params = [param for param in params if not getattr(param, "hidden", False)]
    if brief:
        params = [param for param in params if not getattr(getattr(param, "rich_help_panel", None), "is_seldom", False)]
    arguments = [param for param in params if param.param_type_name == "argument"]
    if arguments:
        yield "Arguments", [Row(_metavar(param), param.help or "") for param in arguments]
    panels = _by_panel(param for param in params if param.param_type_name == "option")
    panels[OUTPUT] = panels.pop(OUTPUT, []) + ([] if brief else [brief_help, full_help])
    for title, members in panels.items():
        if members:
            yield title, [_option_row(param, brief=brief) for param in members]


def _by_panel(members: Iterable[Any]) -> dict[str, list[Any]]:
    panels: dict[str, list[Any]] = {}
    for member in members:
        panels.setdefault(getattr(member, "rich_help_panel", None) or OPTIONS, []).append(member)
    return panels


def _metavar(param: Any) -> str:
    if param.metavar:
        return str(param.metavar)
    return _METAVARS.get(param.type_descriptor.annotation, "TEXT")


def _option_row(param: Any, *, brief: bool) -> Row:
    names = ", ".join(sorted(param.opts, key=len))
    bounds = [bound for bound in (getattr(param, "min", None), getattr(param, "max", None)) if bound is not None]
    text = param.help or ""
    if len(bounds) == 2:
        text = f"{text.rstrip('.')} ({bounds[0]} to {bounds[1]})."
    if param.is_flag:
        return Row(names, text, "" if brief else param.envvar or "")
    return Row(f"{names} {_metavar(param)}", text, _setting(param, brief=brief))


def _setting(param: Any, *, brief: bool) -> str:
    value = default_text(param)
    if param.envvar and not brief:
        return f"{param.envvar}={value}" if value else param.envvar
    return f"[{value}]" if value else ""


def default_text(param: Any) -> str:
    """Write the default of an option; empty where it has none, or is a switch."""
    default = param.default() if callable(param.default) else param.default
    values = default if isinstance(default, list | tuple) else [default]
    return ",".join(str(value) for value in values if value is not None and not isinstance(value, bool))


@dataclass(frozen=True, slots=True)
class _Page:
    width: int
    colour: bool

    def bold(self, text: str) -> str:
        return bold(text, colour=self.colour)

    def dim(self, text: str) -> str:
        return dim(text, colour=self.colour)

    def about(self, text: str) -> Iterator[str]:
        # Sentences are folded; examples stay as they are, their explanations in a column.
        examples = [_example(line) for line in text.splitlines() if _EXAMPLE.match(line)]
        column = max((len(command) for command, explanation in examples if explanation), default=0)
        for paragraph in re.split(r"\n\s*\n", text):
            if not _EXAMPLE.match(paragraph):
                yield from (f" {line}" for line in wrap(paragraph, self.width - 2))
            else:
                for command, explanation in map(_example, paragraph.splitlines()):
                    space = " " * (column - len(command) + 3)
                    yield f"   {self.bold(command)}{self.dim(space + explanation) if explanation else ''}"
            yield ""

    def panel(self, title: str, rows: Sequence[Row]) -> Iterator[str]:
        inner = self.width - 4
        first = max((len(row.written) for row in rows if len(row.written) <= inner // 3), default=inner // 3)
        yield f"{self.dim('╭─')} {title} {self.dim('─' * (self.width - len(title) - 5) + '╮')}"
        for row in rows:
            for written, text, setting in _folded(row, first, inner):
                space = " " * (inner - max(first, len(written)) - 2 - len(text) - len(setting))
                line = f"{self.bold(written)}{' ' * (first - len(written))}  {text}{space}{self.dim(setting)}"
                yield f"{self.dim('│')} {line} {self.dim('│')}"
        yield self.dim("╰" + "─" * (self.width - 2) + "╯")


def _example(line: str) -> tuple[str, str]:
    command, _, explanation = line.strip().partition("    ")
    return command, explanation.strip()


def _folded(row: Row, first: int, inner: int) -> Iterator[Row]:
    # One row as lines of `inner` columns, the first column of them `first` wide.
    written, text, setting = row
    room = inner - first - 2
    if len(written) > first:
        yield Row(written, "")
        written = ""
    if len(text) + (len(setting) + 2 if setting else 0) <= room:
        yield Row(written, text, setting)
        return
    lines = wrap(text, room) or [""]
    for line in lines[:-1]:
        yield Row(written, line)
        written = ""
    if setting and len(lines[-1]) + len(setting) + 2 > room:
        yield Row(written, lines[-1])
        yield Row("", "", setting)
    else:
        yield Row(written, lines[-1], setting)
