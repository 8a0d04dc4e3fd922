"""Files of a data folder → canonical batches in the one order, and the Python API over them."""

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np

from spyctl.dbn.catalog import scan
from spyctl.dbn.choice import files_for_day, files_for_days, selection_for
from spyctl.dbn.descriptors import make_room
from spyctl.dbn.file_info import DBNFileInfo, days_of
from spyctl.dbn.normalize import Normalizer, RecordCounts
from spyctl.dbn.places import find_places
from spyctl.dbn.siblings import symbol_maps
from spyctl.dbn.sort_times import Selection, Sequencer
from spyctl.dbn.time_range import TimeRange, time_range
from spyctl.errors import DamagedFileError, NoDataError, NoDataFolderError, NoSuchDataError
from spyctl.market.columns import DTYPES, Batch, Names, Rows, events, schema_name
from spyctl.market.events import MBP10, FuturesTrade
from spyctl.market.merge import merge
from spyctl.market.symbology import SymbolMap
from spyctl.timing.instants import DAY, MAX_INSTANT, day_number, parse_date

DEFAULT_ROOT = Path("dbn-data")


@dataclass(frozen=True, slots=True)
class Roll:
    """From ``ts_ns`` on (midnight UTC, but in a live capture), a continuous symbol is another instrument.

    Prices are not adjusted.
    """

    symbol: str
    from_id: int
    to_id: int
    ts_ns: int


@dataclass(slots=True)
class Reading:
    """The state of reading several files; counters for a summary.

    With ``strict`` nothing more is read once damage was met; what is held then is still given.
    """

    strict: bool = False
    counts: list[RecordCounts] = field(default_factory=list)
    damage: list[DamagedFileError] = field(default_factory=list)
    rolls: list[Roll] = field(default_factory=list)
    _fronts: dict[str, dict[int, list[int]]] = field(default_factory=dict)  # name → day → instrument ids

    def saw_front(self, symbol: str, instrument_id: int, ts_recv_ns: int) -> None:
        """Note which instrument a continuous symbol is on the UTC day of a record; another than before is a roll."""
        known, day = self._fronts.setdefault(symbol, {}), ts_recv_ns // DAY
        before = max((earlier for earlier in known if earlier < day), default=None)
        today = known.setdefault(day, [])
        if instrument_id in today:
            return
        if today:  # within a capture
            self.rolls.append(Roll(symbol, today[-1], instrument_id, ts_recv_ns))
        elif before is not None and known[before][-1] != instrument_id:
            self.rolls.append(Roll(symbol, known[before][-1], instrument_id, day * DAY))
        today.append(instrument_id)

    @property
    def stopped(self) -> bool:
        """Whether nothing more is to be read."""
        return self.strict and bool(self.damage)

    @property
    def read(self) -> int:
        """Records read inside the selection, rejected ones included."""
        return sum(counts.read for counts in self.counts)

    def forget_rejects(self, behind_ns: int, since: int) -> None:
        """Take back what was rejected later than an instant and is not reached, by the readings from number ``since``
        on."""
        for counts in self.counts[since:]:
            counts.forget_rejects(behind_ns)

    @property
    def rejected(self) -> dict[str, int]:
        """Rejected records by reason."""
        return dict(sum((Counter(counts.rejected) for counts in self.counts), Counter()))

    @property
    def unresolved(self) -> dict[int, int]:
        """Records by instrument id where no mapping names the instrument."""
        return dict(sum((Counter(counts.unresolved) for counts in self.counts), Counter()))


class _FileInput:
    # One file as the merge sees it: opened only when its turn comes, so that a year of files costs no memory.
    def __init__(
        self, info: DBNFileInfo, normalizer: Normalizer, reading: Reading, slack_ns: int, from_ns: int | None
    ) -> None:
        self.schema = info.schema
        self._info = info
        self._normalizer = normalizer
        self._reading = reading
        self._from_ns = from_ns - slack_ns if from_ns is not None else None
        self._chunks: Generator[Rows, None, None] | None = None
        empty = info.first_ns is None and info.records == 0
        self._bound_ns = MAX_INSTANT if empty else info.extent.least_ns - slack_ns
        if self._bound_ns == MAX_INSTANT and info.problem is not None:
            reading.damage.append(info.problem)
        if from_ns is not None:
            self._bound_ns = max(self._bound_ns, from_ns)

    @property
    def bound_ns(self) -> int:
        return MAX_INSTANT if self._reading.stopped else self._bound_ns

    def read(self) -> Rows:
        try:
            if self._chunks is None:
                self._chunks = self._info.chunks(start=self._start())
            records = next(self._chunks, None)
        except DamagedFileError as error:
            self._reading.damage.append(error)
            records = None
        if records is None:
            self._bound_ns = MAX_INSTANT
            return np.empty(0, DTYPES[self.schema])
        rows, sequencer = self._normalizer.rows(records), self._normalizer.sequencer
        if sequencer.finished and self._chunks is not None:
            self._chunks.close()
            self._bound_ns = MAX_INSTANT
        else:
            self._bound_ns = max(self._bound_ns, sequencer.bound_ns)
        return rows

    def _start(self) -> int:
        # The record from which on it has to be read.
        if self._from_ns is None or (places := find_places(self._info.file)) is None:
            return 0
        return places.start_for(self._from_ns)


def read_batches(
    infos: Sequence[DBNFileInfo], selection: Selection, reading: Reading, *, skip: bool = False
) -> Iterator[Batch]:
    """Yield the events of several files, in the one order, as batches.

    ``reading`` is filled as the files are read: a file that turns out damaged gives what is whole, is noted there, and
    the others go on. With ``skip`` nothing is read before the start of the selection, where that can be found. Raises
    :class:`MergeLimitError`, :class:`TooManyFilesError`.
    """
    make_room(infos)
    names = Names()
    known = {error.path for error in reading.damage}
    found = {error.path: error for info in infos for error in info.naming.damage}
    reading.damage.extend(error for path, error in found.items() if path not in known)
    inputs = []
    from_ns = selection.start_ns if skip else None
    for info, symbols in zip(infos, symbol_maps(infos, selection), strict=True):
        sequencer = Sequencer(selection_for(info, selection), SymbolMap(info.mappings))
        normalizer = Normalizer(info.dataset, info.schema, symbols, names, sequencer, reading.saw_front)
        reading.counts.append(normalizer.counts)
        inputs.append(_FileInput(info, normalizer, reading, selection.slack_ns, from_ns))
    return merge(inputs, names)


Day = str | date


class DBNIngestor:
    """Databento files of a data folder, read as canonical events.

    ``dbn_data_root`` defaults to ``./dbn-data``. A day is a :class:`datetime.date` or ``YYYY-MM-DD``; a text that is
    neither raises :class:`UsageError`.
    """

    def __init__(self, dbn_data_root: Path | str | None = None) -> None:
        self.root = Path(dbn_data_root) if dbn_data_root is not None else DEFAULT_ROOT

    def discover_files(self, schema: str | None = None) -> list[DBNFileInfo]:
        """List the readable files, of one schema or of all, in catalog order; none where there is no such folder.

        Raises :class:`UsageError` for an unknown schema.
        """
        name = schema_name(schema) if schema is not None else None
        try:
            catalog = scan(self.root)
        except NoDataFolderError:
            return []
        return [info for info in catalog.files if name in (None, info.schema)]

    def get_available_dates(self, schema: str = "trades") -> list[str]:
        """List the UTC days that have data of a schema, as ``YYYY-MM-DD``, in order."""
        return [day.isoformat() for day in days_of(self.discover_files(schema))]

    def files_of(self, schema: str, day: Day | None = None) -> list[DBNFileInfo]:
        """List the files that hold one schema on a UTC day, or on any, each record once.

        Raises :class:`NoDataError` where there are none, :class:`UsageError` where they must not be mixed.
        """
        found = self.discover_files(schema)
        infos = files_for_day(found, as_date(day), self.root) if day is not None else files_for_days(found, self.root)
        if not infos:
            raise NoSuchDataError(f"no {schema} data{f' for {day}' if day is not None else ''} in {self.root}")
        return infos

    def read_trades(
        self, date: Day | None = None, start_ns: int | None = None, end_ns: int | None = None
    ) -> Iterator[FuturesTrade]:
        """Iterate over the trades of a UTC day, or of all, with ``start_ns <= sort time < end_ns``, in order.

        Raises :class:`NoDataError`, and :class:`DamagedFileError` after the last event that is whole.
        """
        return self._read("trades", date, start_ns, end_ns)  # type: ignore[return-value]

    def read_mbp10(
        self, date: Day | None = None, start_ns: int | None = None, end_ns: int | None = None
    ) -> Iterator[MBP10]:
        """Iterate over the books of a UTC day, or of all, with ``start_ns <= sort time < end_ns``, in order.

        Raises :class:`NoDataError`, and :class:`DamagedFileError` after the last event that is whole.
        """
        return self._read("mbp-10", date, start_ns, end_ns)  # type: ignore[return-value]

    def _read(
        self, schema: str, day: Day | None, start_ns: int | None, end_ns: int | None
    ) -> Iterator[FuturesTrade | MBP10]:
        selection = Selection(
            start_ns=start_ns or 0,
            end_ns=MAX_INSTANT if end_ns is None else end_ns,
            days=frozenset({day_number(as_date(day))}) if day is not None else None,
        )
        reading = Reading()
        for batch in read_batches(self.files_of(schema, day), selection, reading):
            yield from events(batch)
        if reading.damage:
            raise reading.damage[0]

    def get_time_range(self, date: Day, schema: str = "trades") -> tuple[int, int] | tuple[None, None]:
        """Return the exact first and last ``ts_event`` (Unix ns) of a schema on a UTC day, snapshots aside.

        Both are ``None`` where there is no data. :meth:`time_range` tells more, damage among it.
        """
        try:
            span = self.time_range(date, schema)
        except NoDataError:
            return None, None
        return (span.first_ns, span.last_ns) if span.first_ns is not None and span.last_ns is not None else (None, None)

    def time_range(self, date: Day, schema: str = "trades") -> TimeRange:
        """Find the exact span of a schema on a UTC day, with counts.

        Damage is noted in the result, which then covers what is whole. Raises :class:`NoDataError`.
        """
        return time_range(self.files_of(schema, date), as_date(date))


def as_date(day: Day) -> date:
    """Read a day as the Python API takes it. Raises :class:`UsageError`."""
    return parse_date(day) if isinstance(day, str) else day
