"""Files as the input of a replay: read, searched, and the books that stand at a place."""

from dataclasses import dataclass, field

from spyctl.market.encode import EncodedBatch
from spyctl.replay import search
from spyctl.replay.commands import Find, Sight, Unit
from spyctl.replay.pieces import FileReader, Turn
from spyctl.replay.seeds import Seeds
from spyctl.replay.segments import Cursor
from spyctl.replay.targets import Span, span_of
from spyctl.replay.wanted import Wanted, large_trades, late_events, wide_spreads


@dataclass(slots=True)
class FileSource(FileReader):
    """Files, as a replay plays them: a :class:`spyctl.replay.pieces.Source`."""

    _seeds: Seeds = field(init=False, repr=False, compare=False)
    _wide: Wanted | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._seeds = Seeds(self)

    def span(self) -> Span:
        """Return about what event time the files span, where nobody has counted it."""
        return span_of(self.infos, self.selection)

    def books_before(self, place: Cursor) -> list[EncodedBatch]:
        """Return the last book of each symbol before a place, payloads as they are in the replay, by symbol."""
        return self._seeds.before(place)

    async def so_many_back(self, place: Cursor, count: int, unit: Unit, turn: Turn) -> Cursor:
        """Return the place so many events, trades or seconds before another one; the first event where there are
        fewer."""
        return await search.so_many_back(self, place, count, unit, turn)

    async def find(self, wanted: Find, place: Cursor, turn: Turn, *, behind: bool) -> Cursor | None:
        """Return the place of the next, or previous, large trade, wide spread or late event; ``None`` where there is
        none, as of gaps. ``behind`` says that what is exactly there does not count."""
        if wanted.sight is Sight.GAP:
            return None
        hits = self._hits(wanted)
        if wanted.backward:
            return await search.previous_hit(self, hits, place, turn)
        return await search.next_hit(self, hits, place, turn, behind=behind)

    def rolls(self, first_ns: int, last_ns: int) -> list[int]:
        """List the instants at which a continuous symbol becomes another instrument, by what names them."""
        return search.rolls(self, first_ns, last_ns)

    def _hits(self, wanted: Find) -> Wanted:
        if wanted.sight is Sight.TRADE:
            return large_trades(wanted.lots)
        if wanted.sight is Sight.SPREAD:
            self._wide = self._wide or wide_spreads(self.infos)
            return self._wide
        return late_events()
