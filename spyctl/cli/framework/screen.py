"""Shows a run while it goes on: redrawn in place on a terminal, elsewhere a plain line at intervals."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.text import Text

from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.framework.streams import unguarded
from spyctl.terminal.display import Display
from spyctl.timing.notes import Note

FRAME_S = 0.25
LINE_S = 10.0

# Draws a frame of so many columns and lines; the last argument is the notes since the display began.
Draw = Callable[[int, int, Sequence[Note]], Text]


async def show_progress(draw: Draw, line: Callable[[], str], reporter: Reporter) -> None:
    """Show a run until cancelled; does nothing where the user wants quiet.

    On a terminal it takes the alternate screen, and gives it back however it ends and for Ctrl-Z. Messages are part of
    the picture meanwhile, and printed afterwards. ``line`` says the same in one line; it is what is left where drawing
    fails, which must not end the run.
    """
    if reporter.quiet:
        return
    if reporter.draws:
        try:
            await _draw_frames(draw, reporter)
        except OSError:
            return  # the terminal is gone
        except Exception as error:
            reporter.warn(f"the display failed ({type(error).__name__}: {error}); plain lines follow")
    while True:
        await asyncio.sleep(LINE_S)
        reporter.line(line())


async def _draw_frames(draw: Draw, reporter: Reporter) -> None:
    display = Display(unguarded(reporter.stream), colour=reporter.colour)
    with reporter.held(display.give_back) as notes, _suspendable(display):
        while True:
            display.show(draw(*display.size, notes))
            await asyncio.sleep(FRAME_S)


@contextmanager
def _suspendable(display: Display) -> Iterator[None]:
    # Has Ctrl-Z give the screen back first; the next frame after fg takes it again.
    loop = asyncio.get_running_loop()

    def suspend() -> None:
        display.give_back()
        loop.remove_signal_handler(signal.SIGTSTP)
        os.kill(os.getpid(), signal.SIGTSTP)  # stops here; goes on here after fg
        loop.add_signal_handler(signal.SIGTSTP, suspend)

    loop.add_signal_handler(signal.SIGTSTP, suspend)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTSTP)
