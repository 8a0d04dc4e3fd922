"""Shows a run while it goes on: redrawn in place on a terminal, elsewhere a plain line at intervals."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from rich.text import Text

from spyctl.cli.framework.keyboard import Keyboard
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.framework.streams import unguarded
from spyctl.terminal.display import Display
from spyctl.timing.notes import Note

FRAME_S = 0.25
_OBEYED_S = 0.02
LINE_S = 10.0

# Draws a frame of so many columns and lines; the last argument is the notes since the display began.
Draw = Callable[[int, int, Sequence[Note]], Text]


@dataclass(frozen=True, slots=True)
class Show:
    """How to show a run: drawn (``None``: not drawn), or in one plain line; ``on_key`` takes the keys of the terminal,
    where any are wanted."""

    draw: Draw | None
    line: Callable[[], str]
    on_key: Callable[[str], None] | None = None


async def show_progress(show: Show, reporter: Reporter) -> None:
    """Show a run until cancelled; does nothing where the user wants quiet.

    On a terminal it takes the alternate screen, and gives it back however it ends and for Ctrl-Z. Messages are part of
    the picture meanwhile, and printed afterwards. The plain line is what is left where drawing fails, which must not
    end the run.
    """
    if reporter.quiet:
        return
    if reporter.draws and show.draw is not None:
        try:
            await _draw_frames(show.draw, reporter, Keyboard(show.on_key) if show.on_key is not None else None)
        except OSError:
            return  # the terminal is gone
        except Exception as error:
            reporter.warn(f"the display failed ({type(error).__name__}: {error}); plain lines follow")
    while True:
        await asyncio.sleep(LINE_S)
        reporter.line(show.line())


async def _draw_frames(draw: Draw, reporter: Reporter, keyboard: Keyboard | None) -> None:
    display = Display(unguarded(reporter.stream), colour=reporter.colour)

    def give_back() -> None:
        if keyboard is not None:
            keyboard.give_back()
        display.give_back()

    with reporter.held(give_back) as notes, _suspendable(give_back):
        while True:
            if keyboard is not None and display.in_foreground:
                keyboard.take()
            display.show(draw(*display.size, notes))
            await _next_frame(keyboard)


async def _next_frame(keyboard: Keyboard | None) -> None:
    # A key is seen to have been obeyed at once.
    if keyboard is None:
        await asyncio.sleep(FRAME_S)
        return
    keyboard.pressed.clear()
    with suppress(TimeoutError):
        async with asyncio.timeout(FRAME_S):
            await keyboard.pressed.wait()
            await asyncio.sleep(_OBEYED_S)


@contextmanager
def _suspendable(give_back: Callable[[], None]) -> Iterator[None]:
    # Has Ctrl-Z give the terminal back first; the next frame after fg takes it again.
    loop = asyncio.get_running_loop()

    def suspend() -> None:
        give_back()
        loop.remove_signal_handler(signal.SIGTSTP)
        os.kill(os.getpid(), signal.SIGTSTP)  # stops here; goes on here after fg
        loop.add_signal_handler(signal.SIGTSTP, suspend)

    loop.add_signal_handler(signal.SIGTSTP, suspend)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTSTP)
