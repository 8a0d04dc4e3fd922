"""Commands and groups of commands: options that come in groups, the options that all of them have, the help page.

A group of options is a frozen dataclass whose fields are annotated as Typer options. A command that takes one as a
parameter has all its options, and gets them as one value.
"""

from collections.abc import Callable
from copy import copy
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from spyctl.cli.framework.conversion import Conversion
from spyctl.cli.framework.help_page import OUTPUT, help_page
from spyctl.cli.framework.origin import name_setting
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.framework.streams import write
from spyctl.errors import UsageError

Function = Callable[..., int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """How the process talks; every command has these options, before its name and after it."""

    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Only warnings, errors and the result.", rich_help_panel=OUTPUT.seldom)
    ] = False
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show more detail.", rich_help_panel=OUTPUT.seldom)
    ] = False
    plain: Annotated[
        bool,
        typer.Option(
            "--plain",
            envvar="SPYCTL_PLAIN",
            help="Plain lines: no live display, no colours.",
            rich_help_panel=OUTPUT.seldom,
        ),
    ] = False
    log_json: Annotated[
        bool,
        typer.Option(
            "--log-json", envvar="SPYCTL_LOG_JSON", help="Log as JSON lines, on stderr.", rich_help_panel=OUTPUT.seldom
        ),
    ] = False
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks for unexpected errors.", rich_help_panel=OUTPUT.seldom)
    ] = False

    def apply(self, reporter: Reporter) -> None:
        """Have a reporter talk like that; what was asked for before the command's name stays."""
        reporter.quiet |= self.quiet
        reporter.verbose |= self.verbose
        reporter.plain |= self.plain
        reporter.as_json |= self.log_json
        reporter.debug |= self.debug


def add_command(
    app: typer.Typer, function: Function, name: str | None = None, *, panel: str | None = None, short: str | None = None
) -> None:
    """Add a command to a group; ``short`` is its line in the group's help page, under the title ``panel``."""
    add = app.command(name, cls=Command, rich_help_panel=panel, short_help=short)
    add(with_option_groups(function))


def command_group(help_text: str) -> typer.Typer:
    """Make a group of commands; by itself it prints its help page."""
    app = typer.Typer(help=help_text, cls=Group, invoke_without_command=True, rich_markup_mode=None)
    app.callback()(with_option_groups(print_help_page))
    return app


def print_help_page(context: typer.Context) -> None:
    """Print the help page of a group that was named without a command."""
    if context.invoked_subcommand is None:
        write(context.get_help())


def with_option_groups(function: Function) -> Function:
    """Return ``function`` as Typer takes it: groups of options become options, the output options are added."""
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, type[Any]] = {}
    parameters = [Parameter("context", Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)]
    for name, parameter in signature(function).parameters.items():
        if is_dataclass(hints[name]):
            groups[name] = hints[name]
            parameters += _options_of(hints[name])
        elif name != "context":
            parameters.append(parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[name]))
    parameters += _options_of(OutputOptions)

    @wraps(function)
    def command(context: typer.Context, **values: Any) -> int | None:
        _taken(OutputOptions, values).apply(Reporter.of(context))
        for name, group in groups.items():
            values[name] = _taken(group, values)
        try:
            return function(context, **values) if "context" in hints else function(**values)
        except UsageError as error:
            name_setting(context, error)
            raise

    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _options_of(group: type[Any]) -> list[Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        Parameter(
            field.name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(group)
    ]


def _taken(group: type[Any], values: dict[str, Any]) -> Any:
    return group(**{field.name: values.pop(field.name) for field in fields(group)})


class _HasHelpPage:
    # Typer's own page is replaced by ours, on stdout as everything is written there.
    _brief_help: Any = None

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)  # type: ignore[misc]
        option.callback, option.help = _print_help, "Show all of this and exit."
        return option

    def get_params(self, ctx: Any) -> list[Any]:
        # -h and --help are two options, because a callback is not told which name was typed.
        *params, full = super().get_params(ctx)  # type: ignore[misc]
        if self._brief_help is None:
            self._brief_help = copy(full)
            self._brief_help.name, self._brief_help.opts = "brief_help", ["-h"]
            self._brief_help.callback, self._brief_help.help = _print_brief_help, "Show what most users need and exit."
        params = [*params, self._brief_help, full]
        for param in params:
            Conversion.provide(param)
        return params

    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write(help_page(self, ctx))


def _print_help(ctx: Any, _param: Any, value: Any) -> None:
    # Typer's own way would not write ASCII where the output is not UTF-8.
    if value and not ctx.resilient_parsing:
        write(ctx.get_help())
        ctx.exit()


def _print_brief_help(ctx: Any, _param: Any, value: Any) -> None:
    if value and not ctx.resilient_parsing:
        write(help_page(ctx.command, ctx, brief=True).rstrip("\n"))
        ctx.exit()


class Command(_HasHelpPage, TyperCommand):
    """A command of the program."""


class Group(_HasHelpPage, TyperGroup):
    """Commands of one kind, shown in the order they were added, ``help`` last."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "suggest_commands": False})

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(self.commands, key=lambda name: name == "help")
