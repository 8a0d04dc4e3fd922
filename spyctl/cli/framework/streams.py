"""stdout and stderr: glyphs that they can take, colours that are wanted, readers that leave."""

import codecs
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO

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
    """Make both output streams take all that we write: glyphs become ASCII where needed, a closed one is no error."""
    codecs.register_error("spyctl", _to_ascii)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - it stays open like any stream
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="spyctl")


def write(text: str = "") -> None:
    """Write a line of a result to stdout, at once, so that what is said on stderr afterwards comes afterwards."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


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
