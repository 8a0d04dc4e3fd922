"""The records of a day in the order they were received, and the trades that the books do not show.

That a trade is also an mbp-10 record of action ``T`` with the same times, price, size, side and sequence is from
https://databento.com/docs/schemas-and-data-formats/whats-a-schema.
"""

from collections.abc import Iterator, Sequence
from datetime import date

import numpy as np
from numpy.lib.recfunctions import repack_fields
from numpy.typing import NDArray

from spyctl.dbn.choice import selection_for
from spyctl.dbn.descriptors import make_room
from spyctl.dbn.file_info import DBNFileInfo
from spyctl.dbn.sort_times import Int64s, Selection, Sequencer, effective_recv
from spyctl.errors import DamagedFileError
from spyctl.market.columns import Rows
from spyctl.market.symbology import SymbolMap
from spyctl.timing.instants import MAX_INSTANT, day_number

_CHUNK = 8192
_Keys = tuple[Int64s, NDArray[np.uint64]]


def unmatched_trades(
    trades: Sequence[DBNFileInfo], books: Sequence[DBNFileInfo], day: date, symbols: tuple[str, ...]
) -> tuple[int, int]:
    """Count the trades of a UTC day that the books lack, and those in the books that the trades lack."""
    return _unmatched(_keys(trades, day, symbols), _keys(books, day, symbols))


def received_records(
    infos: Sequence[DBNFileInfo], day: date, symbols: tuple[str, ...], damage: list[DamagedFileError]
) -> Iterator[Rows]:
    """Yield the records of all files in the order they were received: per-symbol splits lie side by side in time.

    Damage is added to ``damage``.
    """
    make_room(infos)
    sources = [_selected(info, day, symbols, damage) for info in infos]
    heads = {i: head for i, source in enumerate(sources) if (head := next(source, None)) is not None}
    while heads:
        bound = min(int(running[-1]) for running, _ in heads.values())
        parts, times = [], []
        for i, (running, records) in list(heads.items()):
            count = int(np.searchsorted(running, bound, side="right"))
            parts.append(records[:count])
            times.append(running[:count])
            if count < len(records):
                heads[i] = running[count:], records[count:]
            elif (head := next(sources[i], None)) is not None:
                heads[i] = head
            else:
                del heads[i]
        if len(parts) == 1:
            yield parts[0]
        else:
            yield np.concatenate(parts)[np.argsort(np.concatenate(times), kind="stable")]


def _selected(
    info: DBNFileInfo, day: date, symbols: tuple[str, ...], damage: list[DamagedFileError]
) -> Iterator[tuple[Int64s, Rows]]:
    # The selected records of a file, with the running maximum of ts_recv.
    selection = selection_for(info, Selection(days=frozenset({day_number(day)}), symbols=symbols))
    sequencer = Sequencer(selection, SymbolMap(info.mappings if symbols else ()))
    try:
        for records in info.chunks(_CHUNK):
            times = sequencer.next(records)
            if times.selected.all():
                yield times.running_ns, _without_ts_out(records)
            elif times.selected.any():
                yield times.running_ns[times.selected], _without_ts_out(records[times.selected])
    except DamagedFileError as error:
        damage.append(error)


def _without_ts_out(records: Rows) -> Rows:
    names = [name for name in records.dtype.names or () if name not in ("ts_out", "epoch")]
    return records if len(names) == len(records.dtype.names or ()) else repack_fields(records[names])


def _keys(infos: Sequence[DBNFileInfo], day: date, symbols: tuple[str, ...]) -> Iterator[_Keys]:
    # For each trade its ts_recv, made monotonic, and a number that stands for all that its twin shares with it.
    newest = 0
    for records in received_records(infos, day, symbols, []):
        trades = records[records["action"] == b"T"]
        if not len(trades):
            continue
        times = np.maximum.accumulate(np.maximum(effective_recv(trades), newest))
        newest = int(times[-1])
        key = np.zeros(len(trades), np.uint64)
        for name in ("ts_event", "ts_recv", "price", "size", "side", "sequence", "instrument_id"):
            column = trades[name].view("u1") if name == "side" else trades[name]
            key = (key ^ column.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
            key ^= key >> np.uint64(29)
        yield times, key


def _unmatched(trades: Iterator[_Keys], books: Iterator[_Keys]) -> tuple[int, int]:
    # How many keys of each side the other lacks. Both go forward together, so little of either is held.
    sides = [trades, books]
    times = [np.empty(0, np.int64), np.empty(0, np.int64)]
    keys = [np.empty(0, np.uint64), np.empty(0, np.uint64)]
    reached = [0, 0]
    lacking = [0, 0]
    while min(reached) < MAX_INSTANT or len(keys[0]) or len(keys[1]):
        behind = 0 if reached[0] <= reached[1] else 1
        if reached[behind] < MAX_INSTANT:
            piece = next(sides[behind], None)
            if piece is None:
                reached[behind] = MAX_INSTANT
            else:
                times[behind] = np.concatenate([times[behind], piece[0]])
                keys[behind] = np.concatenate([keys[behind], piece[1]])
                reached[behind] = int(piece[0][-1])
        ends = [int(np.searchsorted(held, min(reached), side="left")) for held in times]
        ripe = np.concatenate([keys[i][: ends[i]] for i in (0, 1)])
        if len(ripe):
            _, inverse = np.unique(ripe, return_inverse=True)
            surplus = np.bincount(inverse, np.repeat([1, -1], ends))
            lacking[0] += int(surplus[surplus > 0].sum())
            lacking[1] -= int(surplus[surplus < 0].sum())
        for i in (0, 1):
            times[i], keys[i] = times[i][ends[i] :], keys[i][ends[i] :]
    return lacking[0], lacking[1]
