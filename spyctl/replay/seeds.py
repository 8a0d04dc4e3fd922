"""The books as they stand at a place: what a consumer needs to go on from there as if it had seen all before."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from spyctl.dbn.places import instrument_ids
from spyctl.dbn.siblings import symbol_maps
from spyctl.market.columns import Batch
from spyctl.market.encode import EncodedBatch, encode_batch
from spyctl.market.symbology import SymbolChoice
from spyctl.replay.pieces import FileReader
from spyctl.replay.segments import Cursor
from spyctl.replay.source import Reading, read_batches
from spyctl.timing.instants import DAY, SECOND

_LOOK_BACK_NS = SECOND
_GROWTH = 16
BOOKS = "mbp-10"


@dataclass(slots=True)
class Seeds:
    """Finds the last book of each symbol before a place, in files."""

    source: FileReader
    _last: tuple[Cursor, list[EncodedBatch]] | None = None
    _none_before: dict[str, int] = field(default_factory=dict)  # symbol → up to there it has no book

    def before(self, place: Cursor) -> list[EncodedBatch]:
        """Return the last book of each symbol before a place, payloads as they are in the replay, by symbol."""
        if self._last is None or self._last[0] != place:
            self._last = place, self._find(place)
        return self._last[1]

    def _find(self, place: Cursor) -> list[EncodedBatch]:
        found: dict[str, EncodedBatch] = {}
        expected = self._expected(place.sort_ns // DAY)
        back_ns, least_ns = _LOOK_BACK_NS, self.source.least_ns
        while True:
            from_ns = max(least_ns, place.sort_ns - back_ns)
            found |= {symbol: book for symbol, book in self._books(from_ns, place) if symbol in expected}
            missing = [symbol for symbol in expected if symbol not in found]
            if from_ns <= max(least_ns, min((self._none_before.get(each, 0) for each in missing), default=from_ns)):
                break
            back_ns *= _GROWTH
        self._none_before |= {symbol: max(place.sort_ns, self._none_before.get(symbol, 0)) for symbol in missing}
        return [found[symbol] for symbol in sorted(found)]

    def _expected(self, day: int) -> set[str]:
        # The symbols that may have books on a UTC day: how far others were looked for must not show.
        words = self.source.selection.symbols
        choice = SymbolChoice(words)
        expected = set()
        infos = [info for info in self.source.infos if info.schema == BOOKS]
        for info, symbols in zip(infos, symbol_maps(infos, self.source.selection), strict=True):
            for number in {mapping.instrument_id for mapping in info.mappings} or instrument_ids(info.file):
                names = symbols.names(number, day)
                taken = not words or choice.takes_any([*names, str(number)])
                if taken and (names or not info.mappings):
                    expected.add(symbols.name(number, day) or str(number))
        return expected

    def _books(self, from_ns: int, place: Cursor) -> Iterator[tuple[str, EncodedBatch]]:
        # The last book of each symbol between a time and a place.
        newest: dict[int, Batch] = {}
        names: list[str] = []
        selection = replace(self.source.selection, start_ns=from_ns, end_ns=place.sort_ns + 1)
        left = place.ordinal
        for batch in read_batches(self.source.seekable, selection, Reading(), skip=True):
            sort_ns = batch.column("sort_ns")
            before = int(np.searchsorted(sort_ns, place.sort_ns))
            here = min(left, len(batch) - before)
            left -= here
            names = batch.names.texts
            for symbol, last in _last_books(batch, before + here):
                newest[symbol] = batch[last : last + 1]
        for symbol, book in newest.items():
            yield names[symbol], next(encode_batch(book))


def _last_books(batch: Batch, end: int) -> Iterator[tuple[int, int]]:
    # Symbol number and place in the batch of the last book of each symbol before ``end``.
    books = np.flatnonzero(batch.is_book()[:end])
    if len(books):
        symbols = batch.column("symbol")[books]
        unique, from_end = np.unique(symbols[::-1], return_index=True)
        yield from zip(unique.tolist(), books[len(books) - 1 - from_end].tolist(), strict=True)
