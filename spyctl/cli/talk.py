"""What spyctl says to a person: on stderr, so that stdout is data alone."""

import os
import sys
from typing import TextIO

LABEL_WIDTH = 9
_DIM, _RED, _YELLOW, _BOLD, _END = "\x1b[2m", "\x1b[31m", "\x1b[33m", "\x1b[1m", "\x1b[0m"


def colours(stream: TextIO) -> bool:
    """Tell whether to colour what goes to a stream: a terminal that can, and nobody objects."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def labelled(label: str, *lines: str, colour: bool = False) -> str:
    """Write a block whose label stands in a column of its own before the first line."""
    head = f"{label:<{LABEL_WIDTH}}"
    if colour:
        head = f"{_DIM}{head}{_END}"
    return "\n".join((head if i == 0 else " " * LABEL_WIDTH) + line for i, line in enumerate(lines))


class Talk:
    """Plan, notes, warnings and errors; ``quiet`` leaves only warnings and errors."""

    def __init__(self, quiet: bool = False, stream: TextIO | None = None) -> None:
        self.quiet = quiet
        self._stream = stream
        self.colour = colours(self.stream)

    @property
    def stream(self) -> TextIO:
        """Where it goes; looked up each time, since a live display stands in for stderr."""
        return self._stream or sys.stderr

    def block(self, label: str, *lines: str) -> None:
        """Say something under a label."""
        if not self.quiet:
            print(labelled(label, *lines, colour=self.colour), file=self.stream, flush=True)

    def line(self, text: str = "") -> None:
        """Say one line."""
        if not self.quiet:
            print(text, file=self.stream, flush=True)

    def warn(self, text: str) -> None:
        """Say what somebody should look at."""
        mark = f"{_YELLOW}!{_END}" if self.colour else "!"
        print(f"{mark} {text}", file=self.stream, flush=True)

    def error(self, message: str, remedy: str = "") -> None:
        """Say what went wrong and what to do about it."""
        mark = f"{_RED}error:{_END}" if self.colour else "error:"
        print(f"{mark} {message}", file=self.stream, flush=True)
        if remedy:
            print(f"  try: {remedy}", file=self.stream, flush=True)


def size_text(size: float) -> str:
    """Write a number of bytes in units of 1000, as ``46 kB``, ``2.72 MB``, ``38 GB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    if unit in ("bytes", "kB") or size >= 100:
        return f"{size:,.0f} {unit}"
    return f"{size:.3g} {unit}" if size >= 10 else f"{size:.2f} {unit}"
