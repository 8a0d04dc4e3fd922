"""Fields of a screen, each shown whole or not at all: what matters least is left out first, and nothing is ever cut.

Rows, grids and stacks take a ``rank`` with each piece: 0 stays longest, the highest goes first.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.text import Text

from spyctl.terminal.boxes import Lines, line

_GAP = 3
_TIGHT = 1


class Field(NamedTuple):
    """A piece of a row."""

    text: Text
    rank: int = 0


def figure(label: str, text: str, style: str = "", *, rank: int = 0, width: int = 0) -> Field:
    """Write a label dim and a figure bright; ``width`` columns are kept for the figure, so that what follows stays."""
    return Field(line((f"{label} " if label else "", "dim"), (text, style), " " * (width - len(text))), rank)


def word(text: str, style: str = "", *, rank: int = 0) -> Field:
    """Write words without a figure."""
    return Field(line((text, style)), rank)


def row(width: int, *left: Field, right: Sequence[Field] = ()) -> Text:
    """Put fields into one line, those of ``right`` flush right, without those that do not fit."""
    shown = [field for field in (*left, *right) if field.text.plain]
    while shown and _row_width(shown) > width:
        shown.remove(max(reversed(shown), key=lambda field: field.rank))
    head = _joined(field for field in shown if not any(field is other for other in right))
    tail = _joined(field for field in shown if any(field is other for other in right))
    if not tail.plain:
        return head
    room = width - head.cell_len - tail.cell_len
    return head.append(" " * (room - bool(room))).append_text(tail).append(" " * bool(room))


def _row_width(fields: Sequence[Field]) -> int:
    return sum(field.text.cell_len for field in fields) + _GAP * (len(fields) - 1) + 1


def _joined(fields: Iterable[Field]) -> Text:
    joined = Text(end="")
    for field in fields:
        joined.append(" " * (_GAP if joined.plain else 1)).append_text(field.text)
    return joined


class Column(NamedTuple):
    """A column of a grid: its head, its cells (each with a style if it has one), at least ``width`` wide."""

    head: str
    cells: Sequence[str | tuple[str, str]]
    rank: int = 0
    width: int = 0
    flush: str = ">"
    gap: int = _TIGHT

    @property
    def needs(self) -> int:
        """Its width with the gap before it."""
        return self.gap + max(self.width, len(self.head), *(len(_text(cell)) for cell in self.cells))


def grid(width: int, *columns: Column, styles: Sequence[str] = ()) -> Lines:
    """Draw columns beside each other, without those that do not fit; ``styles`` are those of whole lines.

    Columns of one rank go together. There is no line of heads where no column has one.
    """
    shown = list(columns)
    while shown and spare(width, *shown) < 0:
        last = max(column.rank for column in shown)
        shown = [column for column in shown if column.rank < last]
    heads = [line((_cell(column.head, column), "dim")) for column in shown]
    lines = [Text(end="").join(heads)] if any(column.head for column in shown) else []
    for i in range(len(columns[0].cells)):
        drawn = Text(end="", style=styles[i] if styles else "")
        for column in shown:
            cell = column.cells[i]
            drawn.append(_cell(_text(cell), column), None if isinstance(cell, str) else cell[1])
        lines.append(drawn)
    return lines


def spare(width: int, *columns: Column) -> int:
    """Return how many columns of the screen are left beside a grid."""
    return width - sum(column.needs for column in columns)


def _text(cell: str | tuple[str, str]) -> str:
    return cell if isinstance(cell, str) else cell[0]


def _cell(text: str, column: Column) -> str:
    return " " * column.gap + f"{text:{column.flush}{column.needs - column.gap}}"


def stack(height: int, *blocks: tuple[int, Lines]) -> Lines:
    """Put blocks (rank, lines) below each other; where they are too high, whole blocks are left out."""
    shown = list(blocks)
    while shown and sum(len(lines) for _, lines in shown) > height:
        shown.remove(max(reversed(shown), key=lambda block: block[0]))
    return [text for _, lines in shown for text in lines]
