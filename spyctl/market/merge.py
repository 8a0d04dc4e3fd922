"""Several files → one order, in batches, with bounded memory.

Events are ordered by (sort time, trades before mbp-10, file in catalog order, position in file). Each input
knows the sort time below which it will give nothing more (its bound); what lies below every bound is final and is
released. The input with the smallest bound is always the next one read, so each holds at most one chunk and
what lies inside the reorder window.
"""

from collections.abc import Iterator, Sequence
from heapq import heapify, heappop, heappush
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spyctl.errors import MergeLimitError
from spyctl.market.columns import SCHEMAS, Batch, Names, Rows, one_behind_the_other, taken
from spyctl.timing.instants import MAX_INSTANT, utc_text

_SHARE = 8  # such a part of the inputs that hold rows is read before what is final is looked for, in all of them
MAX_HELD = 200_000  # events of one input; about 60 MB of mbp-10 rows


class Input(Protocol):
    """A file, as the merge sees it."""

    @property
    def schema(self) -> str: ...

    @property
    def bound_ns(self) -> int:
        """No row to come sorts before this; ``MAX_INSTANT`` once there is none left."""
        ...

    def read(self) -> Rows:
        """Return the next rows of the file, perhaps none; moves the bound."""
        ...


def merge(inputs: Sequence[Input], names: Names, max_held: int = MAX_HELD) -> Iterator[Batch]:
    """Yield the rows of all inputs as batches in the one order; empty ones while nothing can be released.

    ``inputs`` come in catalog order. Raises :class:`MergeLimitError` where more than ``max_held`` events
    of one input would have to be held to keep the order.
    """
    ranked = sorted(inputs, key=lambda file: SCHEMAS.index(file.schema))  # stable: catalog order within a schema
    held: list[list[Rows]] = [[] for _ in ranked]
    bounds = [(file.bound_ns, i) for i, file in enumerate(ranked)]
    heapify(bounds)
    patience = 1
    while bounds:
        behind = heappop(bounds)[1]
        if ranked[behind].bound_ns != MAX_INSTANT:
            rows = ranked[behind].read()
            patience -= 1
            if len(rows):
                held[behind].append(_sorted(rows))
            heappush(bounds, (ranked[behind].bound_ns, behind))
        frontier = bounds[0][0] if bounds else MAX_INSTANT
        if patience > 0 and _count(held[behind]) <= max_held:
            continue
        yield Batch(*_release(ranked, held, frontier), names)
        patience = 1 + sum(map(bool, held)) // _SHARE
        if _count(held[behind]) > max_held:
            raise MergeLimitError(
                f"more than {max_held:,} events lie inside the reorder window at {utc_text(max(frontier, 0))}",
                "a shorter reorder window, or order by ts_recv",
            )
    yield Batch(*_release(ranked, held, MAX_INSTANT), names)


def _count(pieces: list[Rows]) -> int:
    return sum(map(len, pieces))


def _release(
    ranked: Sequence[Input], held: list[list[Rows]], frontier: int
) -> tuple[tuple[Rows, Rows], NDArray[np.intp]]:
    by_schema: dict[str, list[Rows]] = {schema: [] for schema in SCHEMAS}
    for i, pieces in enumerate(held):
        if not pieces:
            continue
        ends = [int(rows["sort_ns"].searchsorted(frontier)) for rows in pieces]
        by_schema[ranked[i].schema] += [rows[:end] for rows, end in zip(pieces, ends, strict=True) if end]
        held[i] = [rows[end:] for rows, end in zip(pieces, ends, strict=True) if end < len(rows)]
    trades, books = (one_behind_the_other(by_schema[schema], schema) for schema in SCHEMAS)
    order = np.argsort(np.concatenate([trades["sort_ns"], books["sort_ns"]]), kind="stable")
    return (trades, books), order


def _sorted(rows: Rows) -> Rows:
    # What is final is then the front of each piece, which is cut off without a copy.
    sort_ns = rows["sort_ns"]
    return rows if (sort_ns[1:] >= sort_ns[:-1]).all() else taken(rows, np.argsort(sort_ns, kind="stable"))
