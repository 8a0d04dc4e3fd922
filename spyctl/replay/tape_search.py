"""Finds places on tapes: the next large trade, the last wide spread, so many events back.

Messages are read from a place on, or back from it in growing stretches. A search gives others their turns, and ends
with what that raises.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from spyctl.market.encode import EncodedBatch
from spyctl.market.events import MBP10, Gap, StockQuote
from spyctl.market.subjects import SUBJECTS, rank_of, subject_of
from spyctl.replay.commands import Find, Sight, Unit
from spyctl.replay.pieces import Turn
from spyctl.replay.segments import Cursor
from spyctl.replay.tapes.order import Choice, in_order
from spyctl.replay.tapes.playlist import Playlist
from spyctl.timing.instants import SECOND

_LOOK_BACK_NS, _GROWTH = SECOND, 8
_TRADES = np.array([subject.endswith(".trades") for subject in SUBJECTS])
_GAP = rank_of(subject_of(Gap))
_QUOTED = [rank_of(subject_of(each)) for each in (StockQuote, MBP10)]
_SIZE = re.compile(rb'"size":(\d+)')
_BEST = re.compile(rb'"bid_px":([\d.eE+-]+),(?:"bid_sz":\d+,)?"ask_px":([\d.eE+-]+)')
_FIRST_BOOKS, _FIRST_EVENTS = 1_000, 50_000  # in which the least spread is one tick

Flags = NDArray[np.bool_]
_Hits = Callable[[EncodedBatch], Flags]
_At = Callable[[int], Awaitable[None]]


@dataclass(slots=True)
class TapeSearch:
    """Searches what is chosen of tapes. A size counts shares, contracts or lots, as its trade does."""

    source: Playlist
    choice: Choice
    _ticks: dict[int, float] | None = field(default=None, init=False)  # by rank
    _first_ns: int | None = field(default=None, init=False)

    async def so_many_back(self, place: Cursor, count: int, unit: Unit, turn: Turn) -> Cursor:
        """Return the place so many events, trades or seconds before another one; the first event where there are
        fewer."""
        if unit is Unit.SECONDS:
            return Cursor(max(self.choice.start_ns, place.sort_ns - count * SECOND))
        found: list[Cursor] = []
        async for found in self._behind(place, _is_trade if unit is Unit.TRADES else _is_any, turn):
            if len(found) >= count:
                break
        return found[max(0, len(found) - count)] if found else place

    async def find(self, wanted: Find, place: Cursor, turn: Turn, *, behind: bool) -> Cursor | None:
        """Return the place of the next, or previous, one; ``None`` where there is none.

        ``behind`` says that what is exactly there does not count.
        """
        hits = await self._hits(wanted, turn)
        if wanted.backward:
            async for found in self._behind(place, hits, turn):
                if found:
                    return found[-1]
            return None
        choice = replace(self.choice, start_ns=max(place.sort_ns, self.choice.start_ns))
        async for found in self._places(choice, hits, _share(turn, choice.start_ns, self.source.last_ns)):
            for each in found:
                if each > place or (each == place and not behind):
                    return each
        return None

    async def _behind(self, place: Cursor, hits: _Hits, turn: Turn) -> AsyncIterator[list[Cursor]]:
        # The places before another one, of ever longer stretches.
        back_ns, least_ns = _LOOK_BACK_NS, await self._begin(turn)
        while True:
            from_ns = max(least_ns, place.sort_ns - back_ns)
            choice = replace(self.choice, start_ns=from_ns, end_ns=min(place.sort_ns + 1, self.choice.end_ns))
            looked = _share(turn, least_ns, place.sort_ns)
            yield [each async for found in self._places(choice, hits, looked) for each in found if each < place]
            if from_ns == least_ns:
                return
            back_ns *= _GROWTH

    async def _places(self, choice: Choice, hits: _Hits, turn: _At) -> AsyncIterator[list[Cursor]]:
        # The places of all hits, batch by batch, from the start of a choice on.
        at = Cursor(choice.start_ns)
        for batch in in_order(self.source, choice):
            await turn(at.sort_ns)
            if not len(batch):
                continue
            wanted = np.flatnonzero(hits(batch))
            times = batch.sort_ns[wanted]
            numbers = wanted - np.searchsorted(batch.sort_ns, times)
            numbers[times == at.sort_ns] += at.ordinal
            yield [Cursor(*pair) for pair in zip(times.tolist(), numbers.tolist(), strict=True)]
            at = at.after(batch.sort_ns)

    async def _begin(self, turn: Turn) -> int:
        # The first sort time.
        if self._first_ns is None:
            for batch in in_order(self.source, self.choice):
                await turn(0.0)
                if len(batch):
                    self._first_ns = int(batch.sort_ns[0])
                    break
        return self._first_ns or 0

    async def _hits(self, wanted: Find, turn: Turn) -> _Hits:
        if wanted.sight is Sight.TRADE:
            return lambda batch: _where(batch, _is_trade(batch), lambda _, payload: _size(payload) >= wanted.lots)
        if wanted.sight is Sight.SPREAD:
            ticks = self._ticks = self._ticks if self._ticks is not None else await self._find_ticks(turn)
            return lambda batch: _where(
                batch,
                np.isin(batch.ranks, list(ticks)),
                lambda rank, payload: round(_spread(payload) / ticks[rank]) > 1,
            )
        late, gaps = wanted.sight is not Sight.GAP, wanted.sight is not Sight.LATE
        return lambda batch: (late & batch.late) | (gaps & (batch.ranks == _GAP))

    async def _find_ticks(self, turn: Turn) -> dict[int, float]:
        # One tick, by subject: the least distance between the best prices in the first books.
        spreads: dict[int, list[float]] = {rank: [] for rank in _QUOTED}
        events = 0
        for batch in in_order(self.source, self.choice):
            await turn(0.0)
            for i in np.flatnonzero(np.isin(batch.ranks, _QUOTED)).tolist():
                spreads[int(batch.ranks[i])].append(_spread(batch.payload(i)))
            events += len(batch)
            if events > _FIRST_EVENTS or all(len(found) > _FIRST_BOOKS for found in spreads.values()):
                break
        positive = {rank: [each for each in found if each > 0] for rank, found in spreads.items()}
        return {rank: min(found) for rank, found in positive.items() if found}


def _is_any(batch: EncodedBatch) -> Flags:
    return np.ones(len(batch), bool)


def _is_trade(batch: EncodedBatch) -> Flags:
    flags: Flags = _TRADES[batch.ranks]
    return flags


def _where(batch: EncodedBatch, among: Flags, is_hit: Callable[[int, bytes], bool]) -> Flags:
    flags = among.copy()
    for i in np.flatnonzero(among).tolist():
        flags[i] = is_hit(int(batch.ranks[i]), batch.payload(i))
    return flags


def _size(payload: bytes) -> int:
    match = _SIZE.search(payload)
    return int(match[1]) if match is not None else 0


def _spread(payload: bytes) -> float:
    match = _BEST.search(payload)
    return float(match[2]) - float(match[1]) if match is not None else 0.0


def _share(turn: Turn, first_ns: int, last_ns: int) -> _At:
    # Turns on the way from one time to another.
    async def at(ns: int) -> None:
        await turn(min(1.0, max(0.0, (ns - first_ns) / max(1, last_ns - first_ns))))

    return at
