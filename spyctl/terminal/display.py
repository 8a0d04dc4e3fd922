"""The alternate screen of a terminal: taken to draw on, and given back."""

import os
from contextlib import suppress
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

_TAKE = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J"
_GIVE_BACK = "\x1b[0m\r\n\x1b[?25h\x1b[?1049l"  # the new line is for terminals without a second screen


class Display:
    """Draws frames on the alternate screen of the terminal behind ``stream``.

    The first frame takes the screen and hides the cursor; :meth:`give_back` undoes both, as often as it is called. No
    other mode of the terminal is touched.
    """

    def __init__(self, stream: TextIO, *, colour: bool) -> None:
        self._stream = stream
        self._console = Console(file=stream, no_color=not colour or None)
        self._taken = False

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines of the terminal as they are now."""
        return self._console.width, self._console.height

    @property
    def in_foreground(self) -> bool:
        """Whether the terminal is ours to draw on: a job that was sent to the background must not."""
        try:
            return os.tcgetpgrp(self._stream.fileno()) == os.getpgrp()
        except (OSError, ValueError):
            return True  # not the terminal that controls this process

    def show(self, frame: Text) -> None:
        """Draw a frame in place of the last one; in the background the screen is given back instead.

        Raises :class:`OSError` where the terminal is gone.
        """
        if not self.in_foreground:
            self.give_back()
            return
        width, _ = self.size
        with self._console.capture() as drawn:
            self._console.print(frame, end="")
        rows = [
            f"\x1b[{row};1H{text}" + ("\x1b[K" if cell_len(plain) < width else "")
            for row, (text, plain) in enumerate(zip(drawn.get().split("\n"), frame.plain.split("\n"), strict=False), 1)
        ]
        taking, self._taken = "" if self._taken else _TAKE, True
        self._stream.write(taking + "".join(rows) + "\x1b[J")
        self._stream.flush()

    def give_back(self) -> None:
        """Show what was on the terminal before, and its cursor; never raises."""
        taken, self._taken = self._taken, False
        if taken:
            with suppress(OSError, ValueError):
                self._stream.write(_GIVE_BACK)
                self._stream.flush()
