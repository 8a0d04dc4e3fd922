"""A command of the program: its own options, those it shares with others, and its help page."""

from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

from spyctl.cli.framework.help_page import help_page
from spyctl.cli.framework.streams import write
from spyctl.cli.options import access, output

Shared = Callable[..., None]


@cache
def _made(shared: Shared) -> TyperCommand:
    # Typer reads the options off the function's signature, as for any command.
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(shared)
    found = typer.main.get_command(app)
    assert isinstance(found, TyperCommand)
    return found


def _show_help(ctx: Any, param: Any, value: bool) -> None:
    # click's own way would not write ASCII where the output is no UTF-8.
    if value and not ctx.resilient_parsing:
        write(ctx.get_help())
        ctx.exit()


class _Page:
    # What commands and groups have in common: shared options, handed to their functions first, and the page.
    shared: ClassVar[tuple[Shared, ...]] = (output,)
    params: list[Any]

    def _share(self) -> None:
        for shared in self.shared:
            self.params = [*self.params, *_made(shared).params]

    def _take(self, context: Any) -> None:
        with context:
            for made in map(_made, self.shared):
                assert made.callback is not None
                made.callback(**{param.name: context.params.pop(param.name) for param in made.params})

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)  # type: ignore[misc]
        if option is not None:
            option.callback = _show_help
        return option

    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write(help_page(self, ctx))


class Command(_Page, TyperCommand):
    """A command with the options about what it shows."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._share()

    def invoke(self, ctx: Any) -> Any:
        self._take(ctx)
        return super().invoke(ctx)


class NatsCommand(Command):
    """A command that needs a NATS server, and so may have to say how to get in."""

    shared = (access, output)


class Group(_Page, TyperGroup):
    """Commands of one kind, shown in the order they were added."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "suggest_commands": False})
        self._share()

    def invoke(self, ctx: Any) -> Any:
        self._take(ctx)
        return super().invoke(ctx)

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(self.commands, key="help".__eq__)
