"""Files of a data folder → canonical batches in the one order, and the Python API over them."""

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import chain
from pathlib import Path

import numpy as np

from spyctl.dbn.catalog import DBNFileInfo, refuse_mixture, scan
from spyctl.dbn.normalize import F_SNAPSHOT, Normalizer, Selection, Tally, Wanted, index
from spyctl.dbn.overlaps import without_doubles
from spyctl.errors import DamagedFileError, NoDataError
from spyctl.market.columns import DTYPES, Batch, Names, Rows, events, schema_name
from spyctl.market.events import MBP10, FuturesTrade
from spyctl.market.merge import merge
from spyctl.market.symbology import SymbolMap, ambiguous_roots
from spyctl.timing.instants import DAY, MAX_INSTANT, day_number

DEFAULT_ROOT = Path("dbn-data")


@dataclass(frozen=True, slots=True)
class Roll:
    """From ``ts_ns`` (midnight UTC) on, a continuous symbol is another instrument; prices are not adjusted."""

    symbol: str
    from_id: int
    to_id: int
    ts_ns: int


@dataclass(slots=True)
class Reading:
    """What a reading of several files has come to so far; counters for a summary.

    With ``strict`` nothing more is read once damage was met; what is held then is still given.
    """

    strict: bool = False
    tallies: list[Tally] = field(default_factory=list)
    damage: list[DamagedFileError] = field(default_factory=list)
    rolls: list[Roll] = field(default_factory=list)
    _fronts: dict[str, dict[int, int]] = field(default_factory=dict)  # name → day → instrument id

    def saw_front(self, symbol: str, instrument_id: int, day: int) -> None:
        """Note which instrument a continuous symbol is on a UTC day; another one than before is a roll."""
        known = self._fronts.setdefault(symbol, {})
        before = max((earlier for earlier in known if earlier < day), default=None)
        if day not in known and before is not None and known[before] != instrument_id:
            self.rolls.append(Roll(symbol, known[before], instrument_id, day * DAY))
        known.setdefault(day, instrument_id)

    @property
    def stopped(self) -> bool:
        """Whether nothing more is to be read."""
        return self.strict and bool(self.damage)

    @property
    def read(self) -> int:
        """Records read inside the selection, rejected ones included."""
        return sum(tally.read for tally in self.tallies)

    @property
    def rejected(self) -> dict[str, int]:
        """Rejected records by reason."""
        return dict(sum((Counter(tally.rejected) for tally in self.tallies), Counter()))

    @property
    def unresolved(self) -> dict[int, int]:
        """Records by instrument id where no mapping names the instrument."""
        return dict(sum((Counter(tally.unresolved) for tally in self.tallies), Counter()))


class _FileInput:
    # One file as the merge sees it: opened only when its turn comes, so that a year of files costs no memory.
    def __init__(self, info: DBNFileInfo, normalizer: Normalizer, reading: Reading, slack_ns: int) -> None:
        self.schema = info.schema
        self._info = info
        self._normalizer = normalizer
        self._reading = reading
        self._chunks: Generator[Rows, None, None] | None = None
        first = info.first_ns
        self._bound_ns = MAX_INSTANT if first is None and info.records == 0 else (first or 0) - slack_ns
        if self._bound_ns == MAX_INSTANT and info.problem is not None:
            reading.damage.append(info.problem)

    @property
    def bound_ns(self) -> int:
        return MAX_INSTANT if self._reading.stopped else self._bound_ns

    def read(self) -> Rows:
        chunks = self._chunks = self._chunks or self._info.chunks()
        chunk = _next_chunk(chunks, self._reading.damage)
        if chunk is None:
            self._bound_ns = MAX_INSTANT
            return np.empty(0, DTYPES[self.schema])
        rows = self._normalizer.rows(chunk)
        if self._normalizer.finished:
            chunks.close()
            self._bound_ns = MAX_INSTANT
        else:
            self._bound_ns = max(self._bound_ns, self._normalizer.bound_ns)
        return rows


def of_file(info: DBNFileInfo, selection: Selection) -> Selection:
    """Narrow a selection to one file: days are told apart only in a file that holds more than those asked for."""
    selection = replace(selection, shadows=info.shadows)
    first, last = day_number(info.first_date), day_number(info.last_date)
    if selection.days is not None and selection.days.issuperset(range(first, last + 1)):
        return replace(selection, days=None)
    return selection


def read_batches(infos: Sequence[DBNFileInfo], selection: Selection, reading: Reading) -> Iterator[Batch]:
    """Yield the events of several files, in the one order, as batches.

    ``reading`` is filled as the files are read: a file that turns out damaged gives what is whole, is noted
    there, and the others go on. Raises :class:`MergeLimitError`.
    """
    names = Names()
    ambiguous = ambiguous_roots(chain.from_iterable(info.mappings for info in infos))
    inputs = []
    for info in infos:
        symbols = SymbolMap(info.mappings, ambiguous)
        normalizer = Normalizer(info.schema, symbols, names, of_file(info, selection), reading.saw_front)
        reading.tallies.append(normalizer.tally)
        inputs.append(_FileInput(info, normalizer, reading, selection.slack_ns))
    return merge(inputs, names)


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The exact span of a schema on one day: ``ts_event`` of records that are no snapshots.

    ``snapshots`` counts the others; ``first_recv_ns`` and ``last_recv_ns`` bound the ``ts_recv`` of all
    records. A time is ``None`` where there is no such record.
    """

    first_ns: int | None
    last_ns: int | None
    records: int
    snapshots: int
    first_recv_ns: int | None
    last_recv_ns: int | None
    files: int
    damage: tuple[DamagedFileError, ...] = ()


class DBNIngestor:
    """Databento files of a data folder, read as canonical events.

    ``dbn_data_root`` defaults to ``./dbn-data``.
    """

    def __init__(self, dbn_data_root: Path | str | None = None) -> None:
        self.root = Path(dbn_data_root) if dbn_data_root is not None else DEFAULT_ROOT

    def discover_files(self, schema: str | None = None) -> list[DBNFileInfo]:
        """List the readable files, of one schema or of all, in catalog order.

        Raises :class:`NoDataError` where there is no such folder or nothing in it, :class:`UsageError` for an
        unknown schema.
        """
        infos = scan(self.root).files
        wanted = schema_name(schema) if schema is not None else None
        return [info for info in infos if wanted in (None, info.schema)]

    def files_of(self, day: date, schema: str) -> list[DBNFileInfo]:
        """List the files that hold one schema on one UTC day, without doubles.

        Raises :class:`NoDataError` where there are none, :class:`UsageError` where they must not be mixed.
        """
        infos = holding(self.discover_files(schema), day)
        if not infos:
            raise NoDataError(f"no {schema} data for {day} in {self.root}", "spyctl discover lists what there is")
        return infos

    def read_trades(self, date: date, start_ns: int | None = None, end_ns: int | None = None) -> Iterator[FuturesTrade]:
        """Iterate over the trades of a UTC day with ``start_ns <= sort time < end_ns``, in order.

        Raises :class:`NoDataError`, and :class:`DamagedFileError` after the last event that is whole.
        """
        return self._read(date, "trades", start_ns, end_ns)  # type: ignore[return-value]

    def read_mbp10(self, date: date, start_ns: int | None = None, end_ns: int | None = None) -> Iterator[MBP10]:
        """Iterate over the books of a UTC day with ``start_ns <= sort time < end_ns``, in order.

        Raises :class:`NoDataError`, and :class:`DamagedFileError` after the last event that is whole.
        """
        return self._read(date, "mbp-10", start_ns, end_ns)  # type: ignore[return-value]

    def _read(self, day: date, schema: str, start_ns: int | None, end_ns: int | None) -> Iterator[FuturesTrade | MBP10]:
        selection = Selection(
            start_ns=start_ns or 0,
            end_ns=MAX_INSTANT if end_ns is None else end_ns,
            days=frozenset({day_number(day)}),
        )
        reading = Reading()
        for batch in read_batches(self.files_of(day, schema), selection, reading):
            yield from events(batch)
        if reading.damage:
            raise reading.damage[0]

    def get_time_range(self, date: date, schema: str) -> TimeRange:
        """Find the exact first and last ``ts_event`` of a schema on a UTC day, snapshots aside.

        Damage is noted in the result, which then covers what is whole. Raises :class:`NoDataError`.
        """
        return time_range(self.files_of(date, schema), date)


def holding(infos: Sequence[DBNFileInfo], day: date) -> list[DBNFileInfo]:
    """Pick the files that hold a UTC day, without those that hold what an earlier one holds.

    Raises :class:`UsageError` where they must not be read as one input.
    """
    found = [info for info in infos if info.covers(day)]
    refuse_mixture(found, "the data folder")
    return without_doubles(found)[0]


def time_range(
    infos: Sequence[DBNFileInfo],
    day: date,
    symbols: tuple[str, ...] = (),
    advance: Callable[[int], None] | None = None,
) -> TimeRange:
    """Find the exact first and last ``ts_event`` in some files of one schema on a UTC day, snapshots aside.

    ``symbols`` are the words of a :class:`SymbolChoice`; ``advance`` is told the bytes of records as they are
    read. Damage is noted in the result, which then covers what is whole.
    """
    first = first_recv = MAX_INSTANT
    last = last_recv = -1
    records = snapshots = 0
    damage: list[DamagedFileError] = []
    for info in infos:
        selection = of_file(info, Selection(days=frozenset({day_number(day)}), symbols=symbols))
        chosen = selection.days is not None or bool(symbols) or bool(selection.shadows)
        wanted = Wanted(SymbolMap(info.mappings), symbols)
        newest = 0
        with closing(info.chunks()) as chunks:
            while (chunk := _next_chunk(chunks, damage)) is not None:
                if advance is not None:
                    advance(chunk.nbytes)
                if chosen:
                    times = index(chunk, newest, selection, wanted)
                    newest = times.newest_ns
                    chunk = chunk[times.selected]
                snapshot = (chunk["flags"] & F_SNAPSHOT) != 0
                ts_event, ts_recv = chunk["ts_event"].view("i8"), chunk["ts_recv"].view("i8")
                records += len(chunk)
                if snapshot.any() or len(chunk) == 0 or min(ts_event.min(), ts_recv.min()) < 0:
                    snapshots += int(snapshot.sum())
                    ts_recv = np.where(ts_recv < 0, ts_event, ts_recv)
                    ts_event = ts_event[~snapshot & (ts_event >= 0)]
                if len(ts_recv):
                    first_recv = min(first_recv, int(ts_recv.min()))
                    last_recv = max(last_recv, int(ts_recv.max()))
                if len(ts_event):
                    first = min(first, int(ts_event.min()))
                    last = max(last, int(ts_event.max()))
    return TimeRange(
        first if last >= 0 else None,
        last if last >= 0 else None,
        records,
        snapshots,
        first_recv if last_recv >= 0 else None,
        last_recv if last_recv >= 0 else None,
        len(infos),
        tuple(damage),
    )


def _next_chunk(chunks: Iterator[Rows], damage: list[DamagedFileError]) -> Rows | None:
    try:
        return next(chunks, None)
    except DamagedFileError as error:
        damage.append(error)
        return None
