"""What a search in files looks for, in the columns of their records."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spyctl.dbn.file_info import DBNFileInfo
from spyctl.dbn.sort_times import Int64s, Sequencer
from spyctl.market.columns import SCHEMAS, UNDEF_PRICE, Rows

_TRADES, _BOOKS = SCHEMAS
_FIRST = 16_384  # books that tell the tick

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for: ``hits`` tells which rows of the ``schemas`` it is, given which of them are late.

    ``may_hit`` tells of the next records of a file whether any of them may be it, which takes less time; it is never
    wrongly no.
    """

    schemas: tuple[str, ...]
    hits: Callable[[Rows, Flags], Flags]
    may_hit: Callable[[Rows, Sequencer], bool]


def _by_value(schema: str, test: Callable[[Rows], Flags]) -> Wanted:
    return Wanted((schema,), lambda rows, _: test(rows), lambda rows, _: bool(test(rows).any()))


def large_trades(lots: int) -> Wanted:
    """Look for trades of at least so many lots."""
    return _by_value(_TRADES, lambda rows: rows["size"] >= lots)


def wide_spreads(infos: Sequence[DBNFileInfo]) -> Wanted:
    """Look for books whose best prices are further apart than one tick: the least distance in the first books."""
    tick = _tick(infos)
    return _by_value(_BOOKS, lambda rows: _spreads(rows) > tick)


def late_events() -> Wanted:
    """Look for events beyond the reorder window."""
    return Wanted(SCHEMAS, lambda _, late: late, lambda rows, sequencer: sequencer.may_be_late(rows))


def _spreads(rows: Rows) -> Int64s:
    best = rows["levels"][:, 0]
    bid_px, ask_px = np.ascontiguousarray(best["bid_px"]), np.ascontiguousarray(best["ask_px"])
    whole = (bid_px != UNDEF_PRICE) & (ask_px != UNDEF_PRICE)
    spreads: Int64s = np.where(whole, ask_px - bid_px, 0)
    return spreads


def _tick(infos: Sequence[DBNFileInfo]) -> int:
    for info in infos:
        if info.schema == _BOOKS:
            with closing(info.file.chunks(_FIRST)) as chunks:
                spreads = _spreads(next(chunks, np.empty(0, info.file.dtype)))
            if (spreads > 0).any():
                return int(spreads[spreads > 0].min())
    return 0
