"""stdout and stderr: what may go out, glyphs that they can take, colours that are wanted, readers that leave."""

import codecs
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO, cast

from spyctl.terminal.outgoing import outgoing

# What stands in for our glyphs where the output is not UTF-8.
_ASCII = str.maketrans(
    {"→": "->", "×": "x", "·": ".", "…": "...", "–": "-", "‖": "||", "▶": ">", "■": "#", "●": "*", "━": "=",
     "╸": "=", "╺": "=", "─": "-", "│": "|", "╭": "+", "╮": "+", "╰": "+", "╯": "+", "µ": "u",
     "±": "+-", "−": "-", "►": ">", "◄": "<", "◌": "o", "✓": "+", "✗": "x", "▁": "_", "▂": ".", "▃": "-", "▄": "=",
     "▅": "+", "▆": "*", "▇": "#", "█": "#", "▐": "#", "▉": "#", "▊": "#", "▋": "#", "▌": "#", "▍": "=", "▎": "-",
     "▏": "-", "▲": "^", "▼": "v", "←": "<", "↑": "^", "↓": "v", "»": ">", "┊": ":", "┄": ".", "↻": "R",
     "╳": "X", "▪": "#", "◆": "*", "\ufffd": "?", "␡": "?"}
    | {chr(code): "*" for code in range(0x2801, 0x2900)}  # dots of a curve
)  # fmt: skip


def _to_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_ASCII)
    return text.encode("ascii", "replace").decode(), error.end


class Outlet:
    """A text stream that lets out neither secrets nor control characters; ``raw`` is the stream behind it.

    It is the one way out for text. Data (its ``buffer``) goes out as it is. ``used`` tells whether anything went out.
    """

    def __init__(self, raw: TextIO) -> None:
        self.raw = raw
        self.used = False

    def write(self, text: str) -> int:
        """Write a text, with our own styles applied."""
        self.used = True
        self.raw.write(outgoing(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":
            self.used = True
        return getattr(self.raw, name)


def guarded(stream: TextIO) -> TextIO:
    """Return a stream as one that lets out neither secrets nor control characters."""
    return stream if isinstance(stream, Outlet) else cast(TextIO, Outlet(stream))


def unguarded(stream: TextIO) -> TextIO:
    """Return the stream itself, for what draws; texts in a drawing have been made safe before."""
    return stream.raw if isinstance(stream, Outlet) else stream


def prepare_streams() -> None:
    """Make both output streams take all that we write, and let out nothing else.

    Glyphs become ASCII where needed, a closed stream is no error.
    """
    codecs.register_error("spyctl", _to_ascii)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            stream = Path(os.devnull).open("w")  # noqa: SIM115 - it stays open like any stream
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="spyctl")
        setattr(sys, name, guarded(stream))


def write(text: str = "") -> None:
    """Write a line of a result to stdout, at once, so that what is said on stderr afterwards comes afterwards."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def write_document(document: Any, out: TextIO | None = None) -> None:
    """Write a result as indented JSON, like :func:`write`; to stdout unless told otherwise."""
    import orjson

    print(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode(), file=out, flush=True)


def written() -> bool:
    """Tell whether anything has been written to stdout."""
    return isinstance(sys.stdout, Outlet) and sys.stdout.used


def drop(stream: TextIO) -> None:
    """Send a stream nowhere: its reader has gone, and Python would complain again while it shuts down."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def colours(stream: TextIO) -> bool:
    """Tell whether to colour what goes to a stream: a capable terminal, unless told otherwise."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"
