"""When a record counts as happening: its effective ``ts_recv``, its sort time, and whether it is selected.

This is the one place for the order of events. Per file let r be the running maximum of ``ts_recv``. The sort time is
``ts_event`` where the record is not a snapshot and ``ts_event`` lies within the reorder window of r; otherwise it is r,
and the record is late unless it is a snapshot. Flags: databento/dbn ``flags.rs``.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spyctl.market.columns import Rows
from spyctl.market.symbology import SymbolChoice, SymbolMap
from spyctl.timing.instants import DAY, MAX_INSTANT, SECOND

F_SNAPSHOT = 32
REORDER_WINDOW = SECOND
_DAY_BITS, _EPOCH_BITS = 17, 14

Int64s = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Records to leave out because another file holds them: ``ts_recv`` from ``first_ns`` to ``last_ns``, both
    inclusive, of some instruments, ``None`` for all."""

    first_ns: int
    last_ns: int
    ids: frozenset[int] | None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records are played and how they are ordered.

    ``start_ns <= sort time < end_ns`` holds for each; ``days`` (since 1970-01-01, ``None``: all) picks UTC
    days by the running maximum of ``ts_recv``. ``reorder_ns`` is the reorder window; ``by_recv`` orders by
    that running maximum instead. Where there are ``hours`` (from, to; in order, apart), a sort time lies in one of
    them. ``symbols`` are the words of a :class:`SymbolChoice`; ``exclusions`` is what another file holds already.
    """

    start_ns: int = 0
    end_ns: int = MAX_INSTANT
    reorder_ns: int = REORDER_WINDOW
    by_recv: bool = False
    days: frozenset[int] | None = None
    hours: tuple[tuple[int, int], ...] | None = None
    symbols: tuple[str, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def slack_ns(self) -> int:
        """How far a sort time may lie before the running maximum of ``ts_recv``."""
        return 0 if self.by_recv else self.reorder_ns


@dataclass(frozen=True, slots=True)
class SortTimes:
    """The times of consecutive records of a file, in ns: effective ``ts_recv``, its running maximum, and the sort time;
    which records are late, and which are selected."""

    ts_recv_ns: Int64s
    running_ns: Int64s
    sort_ns: Int64s
    late: Flags
    selected: Flags


def instrument_keys(records: Rows, ts_recv_ns: Int64s) -> Int64s:
    """Join what names the instrument of each record into a number, which :func:`split_instrument_key` takes apart."""
    keys: Int64s = records["instrument_id"].astype("i8") << _DAY_BITS + _EPOCH_BITS | np.maximum(ts_recv_ns, 0) // DAY
    if "epoch" in (records.dtype.names or ()):
        keys |= records["epoch"].astype("i8") << _DAY_BITS
    return keys


def split_instrument_key(key: int) -> tuple[int, int, int]:
    """Return the instrument id, the UTC day (since 1970-01-01) and the epoch of a capture."""
    rest, day = divmod(key, 1 << _DAY_BITS)
    return rest >> _EPOCH_BITS, day, rest & ((1 << _EPOCH_BITS) - 1)


def effective_recv(records: Rows) -> Int64s:
    """Return ``ts_recv``, or ``ts_event`` where it is undefined, as signed ns; negative where neither makes sense."""
    ts_recv = records["ts_recv"].view("i8")  # undefined and absurd instants turn negative
    times: Int64s = np.where(ts_recv < 0, records["ts_event"].view("i8"), ts_recv)
    return times


def running_recv(ts_recv_ns: Int64s, newest_ns: int) -> Int64s:
    """Return the running maximum of effective ``ts_recv``; ``newest_ns`` is the one before."""
    running: Int64s = np.maximum(np.maximum.accumulate(ts_recv_ns), newest_ns)
    return running


def is_snapshot(records: Rows) -> Flags:
    """Tell which records belong to a snapshot of the book, which repeats older events."""
    flags: Flags = (records["flags"] & F_SNAPSHOT) != 0
    return flags


def placed(ts_event: Int64s, running: Int64s, snapshot: Flags, reorder_ns: int) -> tuple[Int64s, Flags]:
    """Return the sort times of events, and which are late; ``running`` is the running maximum of ``ts_recv``."""
    near = (np.abs(running - ts_event) <= reorder_ns) & (ts_event >= 0)
    return np.where(near & ~snapshot, ts_event, running), ~near & ~snapshot


def sort_times(
    records: Rows, newest_ns: int, selection: Selection, instruments: "InstrumentFilter | None" = None
) -> SortTimes:
    """Compute the sort times of consecutive records of one file, and which of them are selected.

    ``newest_ns`` is the running maximum of ``ts_recv`` before them (0 at the start of the file); ``instruments``
    decides about symbols, ``None`` takes all.
    """
    ts_event, ts_recv = records["ts_event"].view("i8"), effective_recv(records)
    running = running_recv(ts_recv, newest_ns)
    if selection.by_recv:
        sort_ns, late = running, np.zeros(len(records), bool)
    else:
        sort_ns, late = placed(ts_event, running, is_snapshot(records), selection.reorder_ns)
    selected = (sort_ns >= selection.start_ns) & (sort_ns < selection.end_ns)
    if selection.days is not None:
        selected &= np.isin(running // DAY, list(selection.days))
    if selection.hours is not None:
        edges = np.array(selection.hours, np.int64).ravel()
        selected &= np.searchsorted(edges, sort_ns, side="right") % 2 == 1
    if instruments is not None:
        selected &= instruments.takes(records, ts_recv)
    for exclusion in selection.exclusions:
        excluded = (ts_recv >= exclusion.first_ns) & (ts_recv <= exclusion.last_ns)
        if exclusion.ids is not None:
            excluded &= np.isin(records["instrument_id"], list(exclusion.ids))
        selected &= ~excluded
    return SortTimes(ts_recv, running, sort_ns, late, selected)


class InstrumentFilter:
    """Decides which instruments are among the symbols asked for."""

    def __init__(self, symbols: SymbolMap, words: tuple[str, ...]) -> None:
        self._symbols = symbols
        self._choice = SymbolChoice(words)
        self._known: dict[int, bool] = {}

    def takes(self, records: Rows, ts_recv_ns: Int64s) -> Flags:
        """Tell for each record, by instrument id and UTC day of ``ts_recv``, whether it was asked for."""
        unique, inverse = np.unique(instrument_keys(records, ts_recv_ns), return_inverse=True)
        return np.array([self._takes(key) for key in unique.tolist()], bool)[inverse]

    def _takes(self, key: int) -> bool:
        if key not in self._known:
            instrument_id, day, epoch = split_instrument_key(key)
            names = [*self._symbols.names(instrument_id, day, epoch), str(instrument_id)]
            self._known[key] = self._choice.takes_any(names)
        return self._known[key]


class Sequencer:
    """Computes the sort times of one file, chunk after chunk.

    ``newest_ns`` is the running maximum of ``ts_recv`` so far.
    """

    def __init__(self, selection: Selection, symbols: SymbolMap) -> None:
        self.selection = selection
        self.newest_ns = 0
        self._instruments = InstrumentFilter(symbols, selection.symbols) if selection.symbols else None

    @property
    def bound_ns(self) -> int:
        """No later record of the file has a smaller sort time."""
        return self.newest_ns - self.selection.slack_ns

    @property
    def finished(self) -> bool:
        """Whether every later record of the file lies behind the selection's end, or its last day."""
        days = self.selection.days
        return self.bound_ns >= self.selection.end_ns or (
            days is not None and self.newest_ns // DAY > max(days, default=-1)
        )

    def skip(self, records: Rows) -> None:
        """Pass over the next records of the file, at least one, without their sort times."""
        ts_recv = np.ascontiguousarray(records["ts_recv"]).view("i8")
        if int(ts_recv.min()) < 0:
            ts_recv = effective_recv(records)
        self.newest_ns = max(self.newest_ns, int(ts_recv.max()))

    def may_be_late(self, records: Rows) -> bool:
        """Tell whether any of the next records may be late; quicker than their sort times, and never wrongly no."""
        if self.selection.by_recv:
            return False
        ts_recv = np.ascontiguousarray(records["ts_recv"]).view("i8")
        if int(ts_recv[0]) < self.newest_ns or bool((ts_recv[1:] < ts_recv[:-1]).any()):
            return True  # the running maximum decides
        apart = ts_recv - records["ts_event"].view("i8")
        return max(int(apart.max()), -int(apart.min())) > self.selection.reorder_ns

    def next(self, records: Rows) -> SortTimes:
        """Return the sort times of the next records of the file."""
        times = sort_times(records, self.newest_ns, self.selection, self._instruments)
        if len(records):
            self.newest_ns = int(times.running_ns[-1])
        return times
