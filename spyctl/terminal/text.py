"""Sizes, counts and durations as a person reads them, and texts that are bright, dim or labelled."""

import re
from collections.abc import Mapping

from spyctl.errors import UsageError
from spyctl.terminal.outgoing import Mark

LABEL_WIDTH = 9
_REASONS = {"sequence_goes_back": "repeated sequence"}  # others read as they are called
_MOST_REASONS = 4


def size_text(size: float) -> str:
    """Write a number of bytes in units of 1000, as ``46 kB``, ``2.72 MB``, ``38 GB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    if unit in ("bytes", "kB") or size >= 100 or (unit == "GB" and size >= 10):
        return f"{size:,.0f} {unit}"
    return f"{size:.1f} {unit}" if size >= 10 else f"{size:.2f} {unit}"


def parse_size(text: str) -> int:
    """Read ``500MB``, ``2 GB``, ``1.5e9`` or ``0`` as bytes; raises :class:`UsageError`."""
    size = re.fullmatch(r"(\d+(?:\.\d+)?(?:e\d{1,2})?)\s*([kmgt]?)b?", text.strip().lower(), re.ASCII)
    if size is None:
        raise UsageError(f"{text!r} is not a size", "write 500MB, 2GB or 0")
    return round(float(size[1]) * (1, 10**3, 10**6, 10**9, 10**12)[" kmgt".index(size[2] or " ")])


def count(plural: str, number: int) -> str:
    """Write how many there are of what is named in the plural, as ``1 trade``, ``2,725 trades``, ``1 mbp-10``."""
    return f"{number:,} {plural.removesuffix('s') if number == 1 else plural}"


def reasons_text(rejected: Mapping[str, int]) -> str:
    """Say why events were rejected, the most frequent reasons first: ``100 repeated sequence, 2 no event``."""
    ranked = sorted(rejected.items(), key=lambda each: -each[1])
    named = [f"{number:,} {_REASONS.get(name, name.replace('_', ' '))}" for name, number in ranked[:_MOST_REASONS]]
    if more := sum(number for _, number in ranked[_MOST_REASONS:]):
        named.append(f"{more:,} for other reasons")
    return ", ".join(named)


def elapsed_text(seconds: float) -> str:
    """Write how long something took, as ``184 ms``, ``1.5 s``."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def latency_text(milliseconds: float) -> str:
    """Write a latency in at most eight columns: ``1.1 ms``, ``143 ms``, ``11.4 s``, ``2 m 05 s``."""
    from spyctl.timing.instants import MS, SECOND, duration_text  # completion reads this module, and no zones

    if milliseconds < 10:
        return f"{milliseconds:.1f} ms"
    return f"{milliseconds:.0f} ms" if milliseconds < 999.5 else duration_text(max(SECOND, round(milliseconds * MS)))


def shortened(text: str, width: int) -> str:
    """Leave out the last words of a text that is too long; the end of a single long word goes with a ``…`` too."""
    if len(text) <= width:
        return text
    head, word, _ = text[:width].rpartition(" ")
    return f"{head if word and head else text[: width - 1]}…"[:width]


def marked(mark: Mark, text: str) -> str:
    """Write a text in a style."""
    return f"{mark}{text}{Mark.END}" if text else text


def bold(text: str, *, colour: bool) -> str:
    """Write a text bright where colours are wanted."""
    return marked(Mark.BOLD, text) if colour else text


def dim(text: str, *, colour: bool) -> str:
    """Write a text dim where colours are wanted."""
    return marked(Mark.DIM, text) if colour else text


def labelled(label: str, *lines: str, colour: bool = False) -> str:
    """Write a block whose label stands in a column of its own before the first line."""
    head = dim(f"{label:<{LABEL_WIDTH}}", colour=colour)
    return "\n".join((head if i == 0 else " " * LABEL_WIDTH) + line for i, line in enumerate(lines))


def exact_duration(ns: int | None) -> str:
    """Write a duration with three digits below a second, a dot where nobody knows it: ``12.3 µs``, ``1 m 07 s``."""
    from spyctl.timing.instants import MS, SECOND, US, duration_text  # as above

    if ns is None:
        return "·"
    if ns < MS:
        return f"{ns / US:.3g} µs" if ns else "0"
    return f"{ns / MS:.3g} ms" if ns < SECOND else duration_text(ns)
