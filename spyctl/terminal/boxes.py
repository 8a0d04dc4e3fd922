"""Lines, boxes and bars of the dashboards. Everything is a list of lines of known width, which makes drawing cheap."""

from collections.abc import Iterable, Sequence

from rich.text import Text

Lines = list[Text]
_SPARKS = "▁▂▃▄▅▆▇█"
_LEFT, _RIGHT = "▐", "▏▎▍▌▋▊▉"


def line(*parts: str | Text | tuple[str, str]) -> Text:
    """Put texts together, each with a style if it has one; too long a line is cut."""
    return Text.assemble(*parts, no_wrap=True, overflow="crop", end="")


def spread(left: Text, right: Text, width: int) -> Text:
    """Put one text flush left and another flush right; the left one is cut where both do not fit."""
    if (room := max(0, width - right.cell_len)) < left.cell_len:
        left.truncate(room)
    return left.append(" " * (room - left.cell_len)).append_text(right)


def rule(width: int) -> Text:
    """Draw a rule."""
    return line(("─" * width, "dim"))


def pairs(*figures: tuple[str, str] | tuple[str, str, str]) -> Text:
    """Write labels dim and figures bright; the third text is the figure's style."""
    parts: list[str | tuple[str, str]] = [" "]
    for label, figure, *style in figures:
        parts += [(f"{label} ", "dim"), (figure, style[0] if style else ""), "   "]
    return line(*parts)


def spark(values: Sequence[float], width: int) -> str:
    """Draw the last ``width`` values as bars, the largest one full."""
    shown = list(values)[-width:]
    largest = max(shown, default=0.0)
    return "".join(_SPARKS[round(value / largest * 7)] if largest > 0 else _SPARKS[0] for value in shown)


def chart(values: Sequence[float], height: int) -> list[str]:
    """Draw values as columns of ``height`` rows, the largest one full."""
    largest = max(values, default=0.0) or 1.0
    eighths = [round(value / largest * 8 * height) for value in values]
    return [
        "".join(
            " " if (left := eighth - 8 * row) <= 0 else "█" if left >= 8 else _SPARKS[left - 1] for eighth in eighths
        )
        for row in reversed(range(height))
    ]


def bar_left(value: float, largest: float, cells: int) -> str:
    """Draw a bar that grows to the left."""
    halves = round(2 * cells * value / largest) if largest else 0
    return f"{_LEFT * (halves % 2) + '█' * (halves // 2):>{cells}}"


def bar_right(value: float, largest: float, cells: int) -> str:
    """Draw a bar that grows to the right."""
    eighths = round(8 * cells * value / largest) if largest else 0
    return f"{'█' * (eighths // 8) + (_RIGHT[eighths % 8 - 1] if eighths % 8 else ''):<{cells}}"


def progress(share: float, cells: int) -> Text:
    """Draw how much of something is done."""
    halves = round(2 * cells * min(1.0, max(0.0, share)))
    done = "━" * (halves // 2) + "╸" * (halves % 2)
    return line((done, "green"), ("─" * (cells - len(done)), "dim"))


def box(title: str, lines: Iterable[Text], width: int, *, right: str = "", height: int | None = None) -> Lines:
    """Draw a frame of ``width`` around lines; ``right`` is a second title, ``height`` counts the lines inside."""
    tail = f" {right} ─" if right else ""
    head = line(("╭─ ", "dim"), title, (f" {'─' * (width - len(title) - len(tail) - 5)}{tail}╮", "dim"))
    shown = list(lines)
    if height is not None:
        shown = [*shown[:height], *(Text() for _ in range(height - len(shown)))]
    inside = [line(("│", "dim")).append_text(_cut(text, width - 2)).append("│", "dim") for text in shown]
    return [head, *inside, line(("╰" + "─" * (width - 2) + "╯", "dim"))]


def side_by_side(*blocks: Lines) -> Lines:
    """Put blocks of the same height side by side."""
    return [Text(end="").join(row) for row in zip(*blocks, strict=True)]


def _cut(text: Text, width: int) -> Text:
    cut = text.copy()
    cut.truncate(width)
    return cut.append(" " * (width - cut.cell_len))


def screen(lines: Lines) -> Text:
    """Put the lines of a picture together."""
    return Text("\n", no_wrap=True, overflow="crop", end="").join(lines)
