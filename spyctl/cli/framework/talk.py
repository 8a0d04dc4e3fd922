"""What spyctl says to a person: on stderr, so that stdout is data alone."""

import codecs
import os
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from spyctl.timing.notes import Note

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


def write(text: str = "") -> None:
    """Write a line of a result to stdout, at once: what is said on stderr afterwards comes afterwards."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def drop(stream: TextIO) -> None:
    """Send a stream nowhere: its reader has gone, and Python would complain again while it shuts down."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def colours(stream: TextIO) -> bool:
    """Tell whether to colour what goes to a stream: a terminal that can, and nobody objects."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def bold(text: str, colour: bool) -> str:
    """Write a text bright where colours are wanted."""
    return f"{_BOLD}{text}{_END}" if colour and text else text


def dim(text: str, colour: bool) -> str:
    """Write a text dim where colours are wanted."""
    return f"{_DIM}{text}{_END}" if colour and text else text


def labelled(label: str, *lines: str, colour: bool = False) -> str:
    """Write a block whose label stands in a column of its own before the first line."""
    head = dim(f"{label:<{LABEL_WIDTH}}", colour)
    return "\n".join((head if i == 0 else " " * LABEL_WIDTH) + line for i, line in enumerate(lines))


class Talk:
    """Plan, notes, warnings and errors of one process, as the user wants them.

    ``quiet`` leaves only warnings and errors, ``verbose`` adds what is rarely asked for; ``plain`` does without a
    live display and without colours; ``as_json`` writes a JSON object a line, for a log; ``debug`` adds tracebacks.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.quiet = self.verbose = self.plain = self.as_json = self.debug = False
        self._stream = stream
        self._held: list[Note] | None = None  # while a display has the screen
        self._later: list[str] = []

    @property
    def stream(self) -> TextIO:
        """Where it goes."""
        return self._stream or sys.stderr

    @property
    def colour(self) -> bool:
        """Whether to colour it."""
        return colours(self.stream) and not self.plain

    @property
    def draws(self) -> bool:
        """Whether something may be drawn and redrawn: on a terminal that can, and nobody objects."""
        unable = self.plain or self.as_json or os.environ.get("TERM") == "dumb" or bool(os.environ.get("CI"))
        return not unable and self.stream.isatty()

    def block(self, label: str, *lines: str) -> None:
        """Say something under a label."""
        if not self.quiet:
            self._say("info", labelled(label, *lines, colour=self.colour), f"{label}: " + " ".join(lines))

    def line(self, text: str = "") -> None:
        """Say one line."""
        if not self.quiet:
            self._say("info", text)

    def detail(self, text: str) -> None:
        """Say one line to who wants to know more."""
        if self.verbose:
            self._say("debug", dim(text, self.colour), text)

    def warn(self, text: str) -> None:
        """Say what somebody should look at."""
        self._say("warning", f"{_YELLOW}!{_END} {text}" if self.colour else f"! {text}", text)

    def error(self, message: str, remedy: str = "") -> None:
        """Say what went wrong and what to do about it."""
        mark = f"{_RED}error:{_END}" if self.colour else "error:"
        shown = f"{mark} {message}" + (f"\n  try: {remedy}" if remedy else "")
        self._say("error", shown, message, remedy)

    def _say(self, level: str, shown: str, plain: str | None = None, remedy: str = "") -> None:
        plain = shown if plain is None else plain
        if self.as_json:
            if not (plain := plain.strip()):
                return
            import json
            from datetime import UTC, datetime

            now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            shown = json.dumps({"time": now, "level": level, "text": plain} | ({"try": remedy} if remedy else {}))
        if self._held is not None:
            self._held.append(Note(time.time_ns(), plain.strip(), level))
            self._later.append(shown)
        else:
            self._print(shown)

    def _print(self, text: str) -> None:
        try:
            print(text, file=self.stream, flush=True)
        except OSError:  # nobody listens any more, which is no reason to stop
            drop(self.stream)

    @contextmanager
    def held(self) -> Iterator[Sequence[Note]]:
        """Keep back what is said while a display has the screen, and say it afterwards; yields what was said."""
        said: list[Note] = []
        self._held = said
        try:
            yield said
        finally:
            self._held = None
            for shown in self._later:
                self._print(shown)
            self._later.clear()


@contextmanager
def progress_bar(talk: Talk, label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how far a long reading is, on a terminal alone; yields what is told the bytes done."""
    if talk.quiet or not talk.draws or total < _LONG_BYTES:
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
