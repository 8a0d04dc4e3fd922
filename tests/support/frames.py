"""Frames of a dashboard at many sizes: everything fits, and every figure is whole."""

import re
from collections.abc import Callable

from rich.text import Text

SIZES = [
    (40, 12), (50, 16), (60, 20), (72, 24), (80, 24), (90, 30), (100, 24), (119, 34), (120, 35), (132, 43), (140, 40),
    (200, 50),
]  # fmt: skip
_LARGE = [(400, 29), (400, 120)]  # without boxes and with them: nothing is left out
_FIGURE = re.compile(r"\d(?:[\d,.:]*\d)?")
_COUNT_OF_REST = re.compile(r"and [\d,]+ more|last \d+ s")  # of what is not shown, and of what is
_CLOCK = re.compile(r"\d\d:\d\d(:\d\d)?")  # ticks stand elsewhere at each size

Draw = Callable[[int, int], Text]


def lines_of(drawn: Text) -> list[str]:
    """Return the lines of a frame."""
    return [line.rstrip() for line in drawn.plain.split("\n")]


def figures_of(drawn: Text) -> set[str]:
    """Return the figures in a frame, as they are written."""
    return {text for text in _FIGURE.findall(_COUNT_OF_REST.sub("", drawn.plain)) if not _CLOCK.fullmatch(text)}


def assert_whole(draw: Draw, width: int, height: int) -> None:
    """Check that a frame fits its terminal, and that each figure in it is one of those shown where there is room."""
    drawn = draw(width, height)
    lines = lines_of(drawn)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width, max(lines, key=len)
    whole = set().union(*(figures_of(draw(*size)) for size in _LARGE))
    assert figures_of(drawn) <= whole, f"cut: {sorted(figures_of(drawn) - whole)}\n{drawn.plain}"
