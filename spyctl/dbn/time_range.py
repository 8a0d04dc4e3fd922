"""The exact first and last event of a schema on a day."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date

from spyctl.dbn.choice import selection_for
from spyctl.dbn.file_info import DBNFileInfo
from spyctl.dbn.sort_times import Selection, Sequencer, effective_recv, is_snapshot
from spyctl.errors import DamagedFileError
from spyctl.market.columns import Rows
from spyctl.market.symbology import SymbolMap
from spyctl.timing.instants import MAX_INSTANT, day_number


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The exact span of a schema on one day: ``ts_event`` of records that are not snapshots.

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


def time_range(
    infos: Sequence[DBNFileInfo],
    day: date,
    symbols: tuple[str, ...] = (),
    advance: Callable[[int], None] = lambda _: None,
) -> TimeRange:
    """Find the exact first and last ``ts_event`` in some files of one schema on a UTC day, snapshots aside.

    ``symbols`` are the words of a :class:`SymbolChoice`; ``advance`` is told the bytes of records as they are
    read. Damage is noted in the result, which then covers what is whole.
    """
    wanted = Selection(days=frozenset({day_number(day)}), symbols=symbols)
    extremes = _Extremes()
    damage: list[DamagedFileError] = []
    for info in infos:
        selection = selection_for(info, wanted)
        selects = selection.days is not None or bool(symbols) or bool(selection.exclusions)
        sequencer = Sequencer(selection, SymbolMap(info.mappings if symbols else ()))
        damage.extend(info.naming.damage if symbols else ())
        try:
            with closing(info.chunks()) as chunks:
                for records in chunks:
                    advance(records.nbytes)
                    extremes.add(records[sequencer.next(records).selected] if selects else records)
        except DamagedFileError as error:
            damage.append(error)
    return TimeRange(
        *extremes.events, extremes.records, extremes.snapshots, *extremes.receipts, len(infos), tuple(damage)
    )


class _Extremes:
    # The smallest and largest times of the records so far.
    def __init__(self) -> None:
        self.records = 0
        self.snapshots = 0
        self._events = (MAX_INSTANT, -1)
        self._receipts = (MAX_INSTANT, -1)

    @property
    def events(self) -> tuple[int | None, int | None]:
        return self._events if self._events[1] >= 0 else (None, None)

    @property
    def receipts(self) -> tuple[int | None, int | None]:
        return self._receipts if self._receipts[1] >= 0 else (None, None)

    def add(self, records: Rows) -> None:
        if not len(records):
            return
        self.records += len(records)
        ts_event, ts_recv, snapshot = records["ts_event"].view("i8"), effective_recv(records), is_snapshot(records)
        first, last = self._receipts
        self._receipts = min(first, int(ts_recv.min())), max(last, int(ts_recv.max()))
        if snapshot.any() or ts_event.min() < 0:
            self.snapshots += int(snapshot.sum())
            ts_event = ts_event[~snapshot & (ts_event >= 0)]
        if len(ts_event):
            first, last = self._events
            self._events = min(first, int(ts_event.min())), max(last, int(ts_event.max()))
