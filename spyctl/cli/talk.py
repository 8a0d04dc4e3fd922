"""What spyctl says to a person: on stderr, so that stdout is data alone."""

import codecs
import os
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

LABEL_WIDTH = 9
_LONG_BYTES = 50_000_000
_DIM, _RED, _YELLOW, _BOLD, _END = "\x1b[2m", "\x1b[31m", "\x1b[33m", "\x1b[1m", "\x1b[0m"


# What stands in for our glyphs where the output is not UTF-8.
_ASCII = str.maketrans(
    {"→": "->", "×": "x", "·": ".", "…": "...", "–": "-", "‖": "||", "▶": ">", "■": "#", "●": "*", "━": "=",
     "╸": "=", "╺": "=", "─": "-", "│": "|", "╭": "+", "╮": "+", "╰": "+", "╯": "+", "µ": "u",
     "±": "+-", "−": "-", "►": ">", "◄": "<", "◌": "o", "✓": "+", "✗": "x", "▁": "_", "▂": ".", "▃": "-", "▄": "=",
     "▅": "+", "▆": "*", "▇": "#", "█": "@"}
)  # fmt: skip


def _to_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_ASCII)
    return text.encode("ascii", "replace").decode(), error.end


def prepare_streams() -> None:
    """Make both output streams take all that we write: glyphs become ASCII where need be, a closed one is no error."""
    codecs.register_error("spyctl", _to_ascii)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - it stays open like any stream
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="spyctl")


def drop_stdout() -> None:
    """Send stdout nowhere: its reader has gone, and Python would complain again while it shuts down."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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


@contextmanager
def progress_bar(talk: Talk, label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how far a long reading is, on a terminal alone; yields what is told the bytes done."""
    if talk.quiet or not talk.stream.isatty() or os.environ.get("TERM") == "dumb" or total < _LONG_BYTES:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(f" {label}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=talk.stream), transient=True) as shown:
        task = shown.add_task(label, total=total)
        yield lambda size: shown.advance(task, size)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str] = ()) -> list[str]:
    """Write rows in columns as wide as they need, those named in ``right`` flush right."""
    widths = [max(len(head), *(len(row[i]) for row in rows)) for i, head in enumerate(heads)]
    return [
        " "
        + " ".join(
            cell.rjust(width) if head in right else cell.ljust(width)
            for head, cell, width in zip(heads, row, widths, strict=True)
        ).rstrip()
        for row in [heads, *rows]
    ]


def size_text(size: float) -> str:
    """Write a number of bytes in units of 1000, as ``46 kB``, ``2.72 MB``, ``38 GB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    if unit in ("bytes", "kB") or size >= 100 or (unit == "GB" and size >= 10):
        return f"{size:,.0f} {unit}"
    return f"{size:.1f} {unit}" if size >= 10 else f"{size:.2f} {unit}"
