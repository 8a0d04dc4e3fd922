"""Text of many rows at once, from a template whose slots are filled column by column.

A layout is a packed structured dtype of literals and slots. A slot is as wide as its number may get and holds ``\\0``
where the number is shorter; :func:`joined` drops every ``\\0`` at the end.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spyctl.market.columns import Rows

Bytes = NDArray[np.uint8]
Ints = NDArray[Any]
# A literal, a slot (name, dtype), or a group of slots (name, layout, how many).
Part = bytes | tuple[str, str] | tuple[str, np.dtype[Any], int]
Layout = tuple[np.dtype[Any], bytes]


def layout(parts: Sequence[Part]) -> Layout:
    """Lay out literals and slots one after the other; returns the dtype and the template of a row."""
    fields: list[Any] = []
    template = b""
    for part in parts:
        if isinstance(part, bytes):
            fields.append((f"literal{len(fields)}", f"V{len(part)}"))
            template += part
        else:
            fields.append(part if len(part) == 2 else (part[0], part[1], (part[2],)))
            template += bytes(np.dtype([fields[-1]]).itemsize)
    return np.dtype(fields), template


def int_slots(name: str, *, wide: bool) -> list[Part]:
    """Return the slots of an integer up to 9,999, or up to 9,999,999,999 if ``wide``."""
    slots: list[Part] = [(f"{name}.8", "u2"), (f"{name}.4", "u4")] if wide else []
    return [*slots, (f"{name}.0", "u4")]


def blank(count: int, of: Layout) -> Rows:
    """Return ``count`` rows of a layout with empty slots."""
    dtype, template = of
    rows: Rows = np.empty(count, dtype)
    byte_rows(rows)[:] = np.frombuffer(template, np.uint8)
    return rows


# --- digits


def _tables() -> tuple[Ints, Ints, Ints]:
    # For each number below 10,000 its four digits, with a 0 byte for each zero that is left out.
    digits = np.arange(10_000)[:, None] // np.array([1000, 100, 10, 1]) % 10
    padded = (digits + ord("0")).astype(np.uint8)
    leading, trailing = padded.copy(), padded.copy()
    leading[:, :3][np.logical_and.accumulate(digits[:, :3] == 0, axis=1)] = 0
    trailing[:, 1:][np.logical_and.accumulate(digits[:, :0:-1] == 0, axis=1)[:, ::-1]] = 0
    as_words = [np.ascontiguousarray(table).view("u4").ravel() for table in (padded, leading, trailing)]
    return as_words[0], as_words[1], as_words[2]


# Four digits as one u4: with all zeros, without leading zeros, without trailing zeros (0 itself is "0").
PADDED, LEADING, TRAILING = _tables()
TWO_PADDED = (PADDED >> 16).astype("u2")
TWO_LEADING = (LEADING >> 16).astype("u2")


def fill_ints(rows: Rows, name: str, values: Ints, *, wide: bool) -> None:
    """Write integers into the slots that :func:`int_slots` made."""
    if not wide:
        rows[f"{name}.0"] = LEADING[values]
        return
    upper, low = np.divmod(values, 10_000)
    high, middle = np.divmod(upper, 10_000)
    rows[f"{name}.8"] = np.where(high > 0, TWO_LEADING[high], 0)
    rows[f"{name}.4"] = np.where(high > 0, PADDED[middle], np.where(middle > 0, LEADING[middle], 0))
    rows[f"{name}.0"] = np.where(upper > 0, PADDED[low], LEADING[low])


def byte_rows(rows: Rows) -> Bytes:
    """View rows as their bytes, shape (rows, width)."""
    return rows.view(np.uint8).reshape(len(rows), rows.dtype.itemsize)


def joined(*parts: Bytes, end: bytes) -> bytearray:
    """Return the text of all rows, each row made of its parts side by side and followed by ``end``."""
    widths = [part.shape[1] for part in parts]
    count, width = len(parts[0]), sum(widths) + len(end)
    buffer = bytearray(count * width)  # filled in place: a copy of a batch costs as much as encoding a field
    rows = np.frombuffer(buffer, np.uint8).reshape(count, width)
    at = 0
    for part, size in zip(parts, widths, strict=True):
        rows[:, at : at + size] = part
        at += size
    rows[:, at:] = np.frombuffer(end, np.uint8)
    return buffer.translate(None, b"\0")
