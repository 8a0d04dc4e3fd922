"""Tables as lines of plain text."""

from collections.abc import Collection, Iterator, Sequence
from textwrap import wrap

from spyctl.terminal.outgoing import safe_line


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str] = ()) -> list[str]:
    """Write rows in columns as wide as they need, those named in ``right`` flush right."""
    rows = [[safe_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    return [
        " "
        + " ".join(
            cell.rjust(width) if head in right else cell.ljust(width)
            for head, cell, width in zip(heads, row, widths, strict=True)
        ).rstrip()
        for row in [heads, *rows]
    ]


def glossary(rows: Sequence[tuple[str, str]], width: int) -> Iterator[str]:
    """Write terms in one column and what they mean in another, which is folded at ``width``."""
    column = max((len(term) for term, _ in rows), default=0) + 2
    for term, meaning in rows:
        yield from hanging(f"{term:<{column}}", meaning, width)


def hanging(head: str, text: str, width: int) -> Iterator[str]:
    """Write a text behind ``head``, folded at ``width`` with later lines under the first."""
    for i, line in enumerate(wrap(safe_line(text), width - len(head)) or [""]):
        yield (head if i == 0 else " " * len(head)) + line
