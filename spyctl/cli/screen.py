"""Shows a run while it goes on: redrawn in place on a terminal, a plain line now and then elsewhere."""

import asyncio
import os
from collections.abc import Callable

from rich.console import Console, RenderableType
from rich.live import Live as Redrawn

from spyctl.cli.talk import Talk

FRAME_S = 0.25
LINE_S = 10.0


async def show_progress(draw: Callable[[int], RenderableType], line: Callable[[], str], talk: Talk) -> None:
    """Show a run until cancelled; does nothing where the user wants quiet.

    ``draw`` is given the height of the terminal in lines; ``line`` says the same in one line.
    """
    if talk.quiet:
        return
    if talk.stream.isatty() and os.environ.get("TERM") != "dumb":
        console = Console(file=talk.stream)
        with Redrawn(console=console, auto_refresh=False, transient=True) as screen:
            while True:
                screen.update(draw(console.height), refresh=True)
                await asyncio.sleep(FRAME_S)
    else:
        while True:
            await asyncio.sleep(LINE_S)
            talk.line(line())
