"""Text of many rows at once, from a template whose slots are filled column by column.

A layout is a packed structured dtype of literals and slots. A slot is as wide as its number may get and holds ``\\0``
where the number is shorter; :func:`texts` drops every ``\\0`` at the end.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spyctl.market.columns import Rows
from spyctl.market.texts import Bytes, Texts

Ints = NDArray[Any]
Part = bytes | tuple[str, str]  # a literal, or a slot (name, dtype)
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
            fields.append(part)
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
_POWERS = 10 ** np.arange(1, 10)
_SLACK = bytes(64)  # behind the last text, so that as much can be copied of it as of a longer one


def split_at(numbers: Ints, unit: int) -> tuple[Ints, Ints]:
    """Return how often a unit goes into numbers that are not negative, and the rest; ``divmod`` takes much longer."""
    whole = numbers // unit
    return whole, numbers - whole * unit


def looked_up(table: Ints, numbers: Ints) -> Ints:
    """Return the entries of a table for some numbers (numpy is slow to index with anything but ``intp``)."""
    return table.take(numbers.astype(np.intp, copy=False))


def fill_ints(rows: Rows, name: str, values: Ints, *, wide: bool) -> None:
    """Write integers into the slots that :func:`int_slots` made."""
    if not wide:
        rows[f"{name}.0"] = looked_up(LEADING, values)
        return
    upper, low = split_at(values, 10_000)
    high, middle = split_at(upper, 10_000)
    rows[f"{name}.8"] = np.where(high > 0, TWO_LEADING[high], 0)
    rows[f"{name}.4"] = np.where(high > 0, PADDED[middle], np.where(middle > 0, LEADING[middle], 0))
    rows[f"{name}.0"] = np.where(upper > 0, PADDED[low], LEADING[low])


@cache
def _decimal_layout(digits: int, end: bytes) -> Layout:
    return layout([*([("8", "u2")] if digits > 8 else []), *([("4", "u4")] if digits > 4 else []), ("0", "u4"), end])


def decimals(values: Ints, end: bytes) -> Texts:
    """Write integers from 0 to 9,999,999,999 as texts, each with ``end`` behind it."""
    least, most = (len(str(number)) for number in (values.min(), values.max()))
    rows = blank(len(values), _decimal_layout(most, end))
    rest = values.astype(np.uint32) if most < 10 else values
    if most > 4:
        rest, low = split_at(rest, 10_000)
        rows["0"] = looked_up(PADDED, low)
        if most > 8:
            high, rest = split_at(rest, 10_000)
            rows["8"] = looked_up(TWO_PADDED, high)
        rows["4"] = looked_up(PADDED, rest)
    else:
        rows["0"] = looked_up(PADDED, rest)
    width = rows.dtype.itemsize
    digits = np.full(len(rows), most) if least == most else 1 + np.searchsorted(_POWERS, values, side="right")
    lengths = digits + len(end)
    return Texts(byte_rows(rows).ravel(), np.arange(width, width * len(rows) + 1, width) - lengths, lengths)


def byte_rows(rows: Rows) -> Bytes:
    """View rows as their bytes, shape (rows, width)."""
    return rows.view(np.uint8).reshape(len(rows), rows.dtype.itemsize)


def texts(rows: Rows) -> Texts:
    """Return rows as texts, without their ``\\0``; each ends with a newline, and has no other."""
    return Texts.split(rows.tobytes().translate(None, b"\0") + _SLACK)
