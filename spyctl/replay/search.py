"""Finds places in the input: the next large trade, the last wide spread, so many events back.

Records are looked at as columns, file by file, from a place on, or back from it in growing stretches; nothing is
encoded. A search gives others their turns through ``turn``, tells it how much of it is done, 0 to 1, and ends with what
that raises.
"""

from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from itertools import accumulate, pairwise

import numpy as np

from spyctl.dbn.choice import selection_for
from spyctl.dbn.file_info import DBNFileInfo
from spyctl.dbn.places import find_places
from spyctl.dbn.reader import DBNFile
from spyctl.dbn.records import Records
from spyctl.dbn.sort_times import Sequencer
from spyctl.errors import DamagedFileError
from spyctl.market.columns import SCHEMAS, Batch
from spyctl.market.sessions import SATURDAY, is_trading_day, regular_session, trading_day
from spyctl.market.symbology import SymbolMap, is_continuous
from spyctl.replay.commands import Unit
from spyctl.replay.pieces import FileReader, Turn
from spyctl.replay.segments import Cursor
from spyctl.replay.source import Reading, read_batches
from spyctl.replay.wanted import Wanted
from spyctl.timing.instants import DAY, MINUTE, SECOND, date_of

_LOOK_BACK_NS, _GROWTH = SECOND, 8
_CHUNK = 8_192  # records: what is looked at of them stays in the cache of a core
_TRADES = SCHEMAS[0]
_AFTER_OPEN_NS, _BEFORE_CLOSE_NS = 30 * MINUTE, 10 * MINUTE


def _part(turn: Turn, begun: float, share: float) -> Turn:
    # The turns of a part of a search: how much of all is done before it, and how much of all it is.
    async def of_all(done: float) -> None:
        await turn(begun + share * min(1.0, max(0.0, done)))

    return of_all


async def next_hit(source: FileReader, wanted: Wanted, place: Cursor, turn: Turn, *, behind: bool) -> Cursor | None:
    """Return the place of the first hit at ``place`` or later; ``behind``: later than the event there."""
    from_ns = max(place.sort_ns, source.selection.start_ns)
    while (ns := await _first_instant(source, wanted, from_ns, turn)) is not None:
        for number in _numbers(source, wanted, ns):
            if Cursor(ns, number) > place or (Cursor(ns, number) == place and not behind):
                return Cursor(ns, number)
        from_ns = ns + 1
    return None


async def previous_hit(source: FileReader, wanted: Wanted, place: Cursor, turn: Turn) -> Cursor | None:
    """Return the place of the last hit before ``place``."""
    end_ns = place.sort_ns + 1
    while (ns := await _last_instant(source, wanted, end_ns, turn)) is not None:
        before = [Cursor(ns, number) for number in _numbers(source, wanted, ns) if Cursor(ns, number) < place]
        if before:
            return before[-1]
        end_ns = ns
    return None


def _files(source: FileReader, wanted: Wanted, turn: Turn) -> list[tuple[DBNFileInfo, Turn]]:
    # The files that may hold what is wanted, each with its part of the turns.
    infos = [info for info in source.seekable if info.schema in wanted.schemas]
    sizes = [info.record_bytes for info in infos]
    begun, total = accumulate(sizes, initial=0), sum(sizes) or 1
    parts = [_part(turn, before / total, size / total) for before, size in zip(begun, sizes, strict=False)]
    return list(zip(infos, parts, strict=True))


async def _first_instant(source: FileReader, wanted: Wanted, from_ns: int, turn: Turn) -> int | None:
    best_ns = source.selection.end_ns
    for info, part in _files(source, wanted, turn):
        if info.span[0] - source.selection.slack_ns < best_ns:
            found = await _instants(source, info, wanted, from_ns, best_ns, part, first=True)
            best_ns = min(found, default=best_ns)
    return best_ns if best_ns < source.selection.end_ns else None


async def _last_instant(source: FileReader, wanted: Wanted, end_ns: int, turn: Turn) -> int | None:
    least_ns = max(source.selection.start_ns, source.least_ns)
    back_ns, all_ns, last_ns = _LOOK_BACK_NS, max(1, end_ns - least_ns), end_ns
    while end_ns > least_ns:
        from_ns = max(least_ns, end_ns - back_ns)
        stretch = _part(turn, (last_ns - end_ns) / all_ns, (end_ns - from_ns) / all_ns)
        newest = -1
        for info, part in _files(source, wanted, stretch):
            found = await _instants(source, info, wanted, from_ns, end_ns, part, first=False)
            newest = max([newest, *found])
        if newest >= 0:
            return newest
        end_ns, back_ns = from_ns, back_ns * _GROWTH
    return None


async def _instants(
    source: FileReader, info: DBNFileInfo, wanted: Wanted, from_ns: int, end_ns: int, turn: Turn, *, first: bool
) -> list[int]:
    # The first and the last sort time of hits in a file with from_ns <= sort time < end_ns; the first alone is quicker.
    selection = replace(selection_for(info, source.selection), start_ns=from_ns, end_ns=end_ns)
    sequencer = Sequencer(selection, SymbolMap(info.mappings))
    found: list[int] = []
    begun_ns, ends_ns = max(from_ns, info.span[0]), min(end_ns, info.span[1])
    try:
        with closing(_records(info.file, from_ns - selection.slack_ns)) as chunks:
            for records in chunks:
                if wanted.may_hit(records, sequencer):
                    times = sequencer.next(records)
                    hits = times.selected & wanted.hits(records, times.late)
                    if hits.any():
                        sort_ns = times.sort_ns[hits]
                        found += [int(sort_ns.min()), int(sort_ns.max())]
                else:
                    sequencer.skip(records)
                if sequencer.finished or (first and found and sequencer.bound_ns > min(found)):
                    break
                await turn((sequencer.newest_ns - begun_ns) / max(1, ends_ns - begun_ns))
    except DamagedFileError:
        pass  # the replay meets it, and says so
    return found


def _records(file: DBNFile, from_ns: int) -> Generator[Records, None, None]:
    # The records of a file that may be received at an instant or later.
    places = find_places(file)
    return places.records(_CHUNK, places.start_for(from_ns)) if places is not None else file.chunks(_CHUNK)


def _numbers(source: FileReader, wanted: Wanted, ns: int) -> list[int]:
    # Which of the events of an instant are hits, by their number in the one order.
    numbers: list[int] = []
    seen = 0
    for batch in _batches(source, ns, ns + 1):
        hits = np.zeros(len(batch), bool)
        for schema, rows, mine in zip(SCHEMAS, batch.parts, (~batch.is_book(), batch.is_book()), strict=True):
            if schema in wanted.schemas and len(rows):
                flags = wanted.hits(rows, rows["late"])
                offset = 0 if schema == _TRADES else len(batch.parts[0])
                hits[mine] = flags[batch.order[mine] - offset]
        numbers += (seen + np.flatnonzero(hits)).tolist()
        seen += len(batch)
    return numbers


def _batches(source: FileReader, start_ns: int, end_ns: int) -> "list[Batch]":
    selection = replace(
        source.selection, start_ns=max(start_ns, source.selection.start_ns), end_ns=min(end_ns, source.selection.end_ns)
    )
    return list(read_batches(source.seekable, selection, Reading(), skip=True))


async def so_many_back(source: FileReader, place: Cursor, count: int, unit: Unit, turn: Turn) -> Cursor:
    """Return the place so many events, trades or seconds before another one; the first event where there are fewer."""
    least_ns = max(source.selection.start_ns, source.least_ns)
    if unit is Unit.SECONDS:
        return Cursor(max(least_ns, place.sort_ns - count * SECOND))
    back_ns = _LOOK_BACK_NS
    while True:
        from_ns = max(least_ns, place.sort_ns - back_ns)
        await turn((place.sort_ns - from_ns) / max(1, place.sort_ns - least_ns))
        batches = _batches(source, from_ns, place.sort_ns + 1)
        sort_ns = np.concatenate([batch.column("sort_ns") for batch in batches])
        books = np.concatenate([batch.is_book() for batch in batches])
        end = int(np.searchsorted(sort_ns, place.sort_ns)) + place.ordinal
        counted = np.flatnonzero(~books[:end]) if unit is Unit.TRADES else np.arange(min(end, len(sort_ns)))
        if len(counted) >= count or from_ns == least_ns:
            break
        back_ns *= _GROWTH
    if not len(counted):
        return place
    target = int(counted[max(0, len(counted) - count)])
    ns = int(sort_ns[target])
    return Cursor(ns, target - int(np.searchsorted(sort_ns, ns)))


def rolls(source: FileReader, first_ns: int, last_ns: int) -> list[int]:
    """List the instants at which a continuous symbol becomes another instrument, by what names them."""
    ids: dict[str, dict[int, int]] = {}
    for info in source.infos:
        for mapping in info.mappings:
            if is_continuous(mapping.symbol):
                ids.setdefault(mapping.symbol, {})[mapping.first] = mapping.instrument_id
    found = set()
    for days in ids.values():
        ordered = sorted(days.items())
        changes = [day for (_, before), (day, now) in pairwise(ordered) if now != before]
        found |= {day * DAY for day in changes if first_ns < day * DAY <= last_ns}
    return sorted(found)


@lru_cache(maxsize=8)  # a display asks again and again
def session_times(first_ns: int, last_ns: int) -> list[int]:
    """List the instants that a trader looks for: CME's 18:00, New York's open, 10:00, ten minutes before the close, the
    close."""
    day, end = date_of(first_ns) - timedelta(days=1), date_of(last_ns) + timedelta(days=1)
    found = set()
    while day <= end:
        if day.weekday() < SATURDAY:
            found.add(trading_day(day)[0])
        if is_trading_day(day):
            open_ns, close_ns = regular_session(day)
            found |= {open_ns, open_ns + _AFTER_OPEN_NS, close_ns - _BEFORE_CLOSE_NS, close_ns}
        day += timedelta(days=1)
    return sorted(ns for ns in found if first_ns <= ns <= last_ns)
