"""Lines, boxes and bars of the dashboards. Everything is a list of lines of known width, which makes drawing cheap."""

from collections.abc import Iterable, Sequence

from rich.text import Text

from spyctl.terminal.outgoing import safe_line

Lines = list[Text]
_SPARKS = "▁▂▃▄▅▆▇█"
_BRAILLE, _DOTS = 0x2800, ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # the dots of a column, from above
_LEFT, _RIGHT = "▐", "▏▎▍▌▋▊▉"


def line(*parts: str | Text | tuple[str, str]) -> Text:
    """Put texts together, each with a style if it has one, in one line that is safe to show; too long a line is cut."""
    return Text.assemble(*map(_safe, parts), no_wrap=True, overflow="crop", end="")


def _safe(part: str | Text | tuple[str, str]) -> str | Text | tuple[str, str]:
    if isinstance(part, Text):
        return part  # one that was put together here
    return safe_line(part) if isinstance(part, str) else (safe_line(part[0]), part[1])


def rule(width: int) -> Text:
    """Draw a rule."""
    return line(("─" * width, "dim"))


def spark(values: Sequence[float], width: int, largest: float) -> str:
    """Draw the last ``width`` values as bars; ``largest`` is the value of a full one."""
    shown = list(values)[-width:]
    return "".join(_SPARKS[min(7, round(value / largest * 7))] if largest > 0 else _SPARKS[0] for value in shown)


def chart(values: Sequence[float], height: int, largest: float) -> list[str]:
    """Draw values as columns of ``height`` rows; ``largest`` is the value of a full one."""
    eighths = [round(value / largest * 8 * height) for value in values]
    return [
        "".join(
            " " if (left := eighth - 8 * row) <= 0 else "█" if left >= 8 else _SPARKS[left - 1] for eighth in eighths
        )
        for row in reversed(range(height))
    ]


def curve(values: Sequence[float | None], cells: int, height: int, low: float, high: float) -> list[str]:
    """Draw values as a line of dots, two of them to a cell and four to a row; ``None`` is drawn as nothing."""
    dots = [[0] * cells for _ in range(height)]
    for i in range(2 * cells):
        value = values[i * len(values) // (2 * cells)]
        if value is None or high <= low:
            continue
        level = min(4 * height - 1, max(0, round((high - value) / (high - low) * (4 * height - 1))))
        dots[level // 4][i // 2] |= _DOTS[i % 2][level % 4]
    return ["".join(chr(_BRAILLE + cell) if cell else " " for cell in row) for row in dots]


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


def box(
    title: str, lines: Iterable[Text], width: int, *, right: Text | None = None, height: int | None = None
) -> Lines:
    """Draw a frame of ``width`` around lines; ``right`` is a second title, ``height`` counts the lines inside.

    A title that does not fit is left out.
    """
    title = safe_line(title)
    tail = right.copy() if right is not None else Text()
    tail.rstrip()
    tail.append(" " * bool(tail.plain))
    tail = tail if tail.cell_len + len(title) + 6 <= width else Text()
    dashes = width - len(title) - tail.cell_len - 5 - bool(tail.plain)
    head = line(("╭─ ", "dim"), title, (f" {'─' * dashes}", "dim"), tail, ("─╮" if tail.plain else "╮", "dim"))
    shown = list(lines)
    if height is not None:
        shown = [*shown[:height], *(Text() for _ in range(height - len(shown)))]
    inside = [line(("│", "dim")).append_text(_filled(text, width - 2)).append("│", "dim") for text in shown]
    return [head, *inside, line(("╰" + "─" * (width - 2) + "╯", "dim"))]


def side_by_side(*blocks: Lines) -> Lines:
    """Put blocks of the same height side by side."""
    return [Text(end="").join(row) for row in zip(*blocks, strict=True)]


def _filled(text: Text, width: int) -> Text:
    # What is inside a box has been made to fit; should it not, that is seen.
    filled = text.copy()
    filled.truncate(width, overflow="ellipsis")
    return filled.append(" " * (width - filled.cell_len))


def screen(lines: Lines) -> Text:
    """Put the lines of a picture together."""
    return Text("\n", no_wrap=True, overflow="crop", end="").join(lines)
