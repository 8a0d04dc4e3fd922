"""Shows a run while it goes on: redrawn in place on a terminal, elsewhere a plain line at intervals."""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence

from rich.console import Console, RenderableType
from rich.live import Live as Redrawn

from spyctl.cli.framework.reporter import Reporter
from spyctl.timing.notes import Note

FRAME_S = 0.25
LINE_S = 10.0

# Draws a frame of so many columns and lines; the last argument is the notes since the display began.
Draw = Callable[[int, int, Sequence[Note]], RenderableType]


async def show_progress(draw: Draw, line: Callable[[], str], reporter: Reporter) -> None:
    """Show a run until cancelled; does nothing where the user wants quiet.

    On a terminal it takes the alternate screen, and gives it back however it ends and for Ctrl-Z. Messages are part of
    the picture meanwhile, and printed afterwards. ``line`` says the same in one line.
    """
    if reporter.quiet:
        return
    if not reporter.draws:
        while True:
            await asyncio.sleep(LINE_S)
            reporter.line(line())
    console = Console(file=reporter.stream, no_color=not reporter.colour or None)
    loop = asyncio.get_running_loop()
    with reporter.held() as notes, Redrawn(console=console, auto_refresh=False, screen=True) as screen:

        def suspend() -> None:
            screen.stop()
            loop.remove_signal_handler(signal.SIGTSTP)
            os.kill(os.getpid(), signal.SIGTSTP)  # stops here; goes on here after fg
            loop.add_signal_handler(signal.SIGTSTP, suspend)
            screen.start()

        loop.add_signal_handler(signal.SIGTSTP, suspend)
        try:
            while True:
                screen.update(draw(console.width, console.height, notes), refresh=True)
                await asyncio.sleep(FRAME_S)
        finally:
            loop.remove_signal_handler(signal.SIGTSTP)
