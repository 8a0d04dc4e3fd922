"""What spyctl says to a person, on stderr, so that stdout carries data alone."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from spyctl.cli.framework.streams import colours, drop, guarded, unguarded
from spyctl.terminal.outgoing import Mark, safe, safe_line
from spyctl.terminal.text import dim, labelled, marked
from spyctl.timing.notes import Note

_LONG_BYTES = 50_000_000


class Reporter:
    """Prints the plan, notes, warnings and errors of one process as the user wants them.

    ``quiet`` leaves only warnings and errors, ``verbose`` adds details; ``plain`` does without a live display and
    without colours; ``as_json`` writes JSON lines, for a log; ``debug`` adds tracebacks.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.quiet = self.verbose = self.plain = self.as_json = self.debug = False
        self._stream = guarded(stream) if stream is not None else None
        self._held: list[Note] | None = None  # while a display has the screen
        self._later: list[str] = []
        self._give_back: Callable[[], None] = lambda: None

    @classmethod
    def of(cls, context: Any) -> "Reporter":
        """Return the reporter of the process; ``context`` is a command's :class:`typer.Context`."""
        reporter: Reporter = context.find_object(cls)
        return reporter

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
        """Whether something may be drawn and redrawn: on a capable terminal, unless told otherwise."""
        unable = self.plain or self.as_json or os.environ.get("TERM") == "dumb" or bool(os.environ.get("CI"))
        return not unable and self.stream.isatty()

    def block(self, label: str, *lines: str) -> None:
        """Say something under a label."""
        if not self.quiet:
            lines = tuple(map(safe_line, lines))
            self._say("info", labelled(label, *lines, colour=self.colour), f"{label}: " + " ".join(lines))

    def line(self, text: str = "") -> None:
        """Say one line."""
        if not self.quiet:
            self._say("info", text)

    def detail(self, text: str) -> None:
        """Say one line to a user who wants details."""
        if self.verbose:
            self._say("debug", dim(text, colour=self.colour), text)

    def warn(self, text: str) -> None:
        """Say what the user should look at."""
        text = safe_line(text)
        self._say("warning", f"{marked(Mark.YELLOW, '!') if self.colour else '!'} {text}", text)

    def error(self, message: str, remedy: str = "") -> None:
        """Say what went wrong and how to fix it."""
        message, remedy = safe_line(message), safe_line(remedy)
        mark = marked(Mark.RED, "error:") if self.colour else "error:"
        shown = f"{mark} {message}" + (f"\n  try: {remedy}" if remedy else "")
        self._say("error", shown, message, remedy)

    def _say(self, level: str, shown: str, plain: str | None = None, remedy: str = "") -> None:
        plain = safe(shown if plain is None else plain)
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
        except OSError:  # nobody reads it any more, which is no reason to stop
            drop(self.stream)

    @property
    def displaying(self) -> bool:
        """Whether a display has the screen, and shows what is said."""
        return self._held is not None

    @contextmanager
    def held(self, give_back: Callable[[], None] = lambda: None) -> Iterator[Sequence[Note]]:
        """Hold back messages while a display has the screen, and print them afterwards; yields them as notes.

        ``give_back`` gives the screen back; it is called in the end, or by :meth:`release` before.
        """
        notes: list[Note] = []
        self._held, self._give_back = notes, give_back
        try:
            yield notes
        finally:
            self.release()

    def release(self) -> None:
        """Give the screen back where a display has it, and print what was held back meanwhile."""
        if self._held is None:
            return
        self._held = None
        self._give_back()
        for shown in self._later:
            self._print(shown)
        self._later.clear()


@contextmanager
def progress_bar(
    reporter: Reporter, label: str, total: int, *, long: int = _LONG_BYTES, in_bytes: bool = True
) -> Iterator[Callable[[float], None]]:
    """Show how far something is, on a terminal only and where its ``total`` is ``long``; yields a function that takes
    how much was just done, in bytes or in any other unit."""
    if reporter.quiet or not reporter.draws or total < long:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    amount = DownloadColumn() if in_bytes else TaskProgressColumn()
    columns = (TextColumn(f" {safe_line(label)}", markup=False), BarColumn(), amount, TimeRemainingColumn())
    with Progress(*columns, console=Console(file=unguarded(reporter.stream)), transient=True) as shown:
        task = shown.add_task("", total=total)
        yield lambda size: shown.advance(task, size)
