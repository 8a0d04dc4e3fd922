"""DBN records → canonical columns: the only place that knows what a DBN field means.

| column      | DBN field            | rule                                                                  |
|-------------|----------------------|-----------------------------------------------------------------------|
| ts_event_ns | ts_event             | as it is; a record without one is rejected                            |
| ts_recv_ns  | ts_recv              | ``ts_event`` where undefined                                          |
| price       | price                | a trade with ``UNDEF_PRICE`` is rejected; negative prices are valid   |
| aggressor   | side                 | ``B`` buy, ``A`` sell, anything else neither                          |
| levels      | levels[0..9]         | ``UNDEF_PRICE`` stays, it becomes ``null`` on the wire                |
| is_snapshot | flags & 32           | F_SNAPSHOT                                                            |
| symbol      | instrument_id        | the mapping valid on the UTC day of ``ts_recv``, else the id as text  |

Sentinels and flags: databento/dbn ``lib.rs`` and ``flags.rs``;
https://databento.com/docs/standards-and-conventions/common-fields-enums-types.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spyctl.dbn.catalog import Shadow
from spyctl.market.columns import DTYPES, UNDEF_PRICE, Names, Rows
from spyctl.market.symbology import SymbolChoice, SymbolMap, is_continuous
from spyctl.timing.instants import DAY, MAX_INSTANT, SECOND

F_SNAPSHOT = 32
REORDER_WINDOW = SECOND
_DAY_BITS = 24

Int64s = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records are played and how they are ordered.

    ``start_ns <= sort time < end_ns`` holds for each; ``days`` (since 1970-01-01, ``None``: all) picks UTC
    days by the running maximum of ``ts_recv``. ``reorder_ns`` is the reorder window; ``by_recv`` orders by
    that running maximum instead. ``symbols`` are the words of a :class:`SymbolChoice`; ``shadows`` is what another
    file holds already.
    """

    start_ns: int = 0
    end_ns: int = MAX_INSTANT
    reorder_ns: int = REORDER_WINDOW
    by_recv: bool = False
    days: frozenset[int] | None = None
    symbols: tuple[str, ...] = ()
    shadows: tuple[Shadow, ...] = ()

    @property
    def slack_ns(self) -> int:
        """How far a sort time may lie before the running maximum of ``ts_recv``."""
        return 0 if self.by_recv else self.reorder_ns


class Wanted:
    """Picks the records of the instruments whose symbols were asked for."""

    def __init__(self, symbols: SymbolMap, words: tuple[str, ...]) -> None:
        self._symbols = symbols
        self._choice = SymbolChoice(words)
        self._known: dict[int, bool] = {}

    def mask(self, ids: NDArray[np.uint32], days: Int64s) -> NDArray[np.bool_]:
        """Tell for each record, by instrument id and UTC day of ``ts_recv``, whether it is wanted."""
        keys = ids.astype("i8") << _DAY_BITS | days
        unique, inverse = np.unique(keys, return_inverse=True)
        for key in unique.tolist():
            if key not in self._known:
                instrument_id, day = key >> _DAY_BITS, key & ((1 << _DAY_BITS) - 1)
                names = [*self._symbols.names(instrument_id, day), str(instrument_id)]
                self._known[key] = self._choice.takes_any(names)
        return np.array([self._known[key] for key in unique.tolist()], bool)[inverse]


@dataclass(slots=True)
class Tally:
    """What was read, by reason where it was not turned into an event."""

    read: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    unresolved: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Index:
    """The times of some records: effective ``ts_recv``, sort time, and which are late."""

    ts_recv_ns: Int64s
    sort_ns: Int64s
    late: NDArray[np.bool_]
    selected: NDArray[np.bool_]
    newest_ns: int


def index(records: Rows, newest_ns: int, selection: Selection, wanted: Wanted | None = None) -> Index:
    """Compute the sort times of consecutive records of one file.

    ``newest_ns`` is the running maximum of ``ts_recv`` before them (0 at the start of the file). The sort
    time is ``ts_event`` where the record is no snapshot and lies within the reorder window of the running
    maximum; otherwise that maximum, and the record is late unless it is a snapshot. ``wanted`` is asked where
    the selection names symbols.
    """
    ts_event = records["ts_event"].view("i8")  # undefined and absurd instants turn negative
    ts_recv = records["ts_recv"].view("i8")
    ts_recv = np.where(ts_recv < 0, ts_event, ts_recv)
    running = np.maximum(np.maximum.accumulate(ts_recv), newest_ns)
    if selection.by_recv:
        sort_ns, late = running, np.zeros(len(records), bool)
    else:
        snapshot = (records["flags"] & F_SNAPSHOT) != 0
        near = (np.abs(running - ts_event) <= selection.reorder_ns) & (ts_event >= 0)
        sort_ns = np.where(near & ~snapshot, ts_event, running)
        late = ~near & ~snapshot
    selected = (sort_ns >= selection.start_ns) & (sort_ns < selection.end_ns)
    if selection.days is not None:
        selected &= np.isin(running // DAY, list(selection.days))
    if selection.symbols and wanted is not None:
        selected &= wanted.mask(records["instrument_id"], ts_recv // DAY)
    for shadow in selection.shadows:
        shaded = (ts_recv >= shadow.first_ns) & (ts_recv <= shadow.last_ns)
        if shadow.ids is not None:
            shaded &= np.isin(records["instrument_id"], list(shadow.ids))
        selected &= ~shaded
    return Index(ts_recv, sort_ns, late, selected, int(running[-1]) if len(running) else newest_ns)


class Normalizer:
    """Turns the records of one file, chunk after chunk, into canonical rows."""

    def __init__(
        self,
        schema: str,
        symbols: SymbolMap,
        names: Names,
        selection: Selection,
        on_front: Callable[[str, int, int], None] | None = None,
    ) -> None:
        """``on_front`` is told the name, instrument id and day of each continuous symbol met."""
        self.schema = schema
        self.newest_ns = 0
        self.tally = Tally()
        self._symbols = symbols
        self._names = names
        self._selection = selection
        self._wanted = Wanted(symbols, selection.symbols)
        self._on_front = on_front
        self._told: set[int] = set()

    @property
    def bound_ns(self) -> int:
        """No later record of this file has a smaller sort time."""
        return self.newest_ns - self._selection.slack_ns

    @property
    def finished(self) -> bool:
        """Whether every later record of this file lies behind the selection's end, or its last day."""
        days = self._selection.days
        return self.bound_ns >= self._selection.end_ns or (
            days is not None and self.newest_ns // DAY > max(days, default=-1)
        )

    def rows(self, records: Rows) -> Rows:
        """Return the canonical rows of the next records of the file; rejects are counted in ``tally``."""
        times = index(records, self.newest_ns, self._selection, self._wanted)
        self.newest_ns = times.newest_ns
        keep = times.selected.copy()
        self.tally.read += int(keep.sum())
        keep &= self._accept(keep, records["ts_event"].view("i8") >= 0, "no_ts_event")
        if self.schema == "trades":
            keep &= self._accept(keep, records["price"] != UNDEF_PRICE, "no_price")
        if not keep.any():
            return np.empty(0, DTYPES[self.schema])
        everything = bool(keep.all())
        records = records if everything else records[keep]
        rows = np.zeros(len(records), DTYPES[self.schema])
        rows["sort_ns"] = times.sort_ns if everything else times.sort_ns[keep]
        rows["late"] = times.late if everything else times.late[keep]
        rows["ts_event_ns"] = records["ts_event"]
        rows["ts_recv_ns"] = times.ts_recv_ns if everything else times.ts_recv_ns[keep]
        rows["symbol"] = self._symbol_numbers(records["instrument_id"], rows["ts_recv_ns"] // DAY)
        rows["seq"] = records["sequence"]
        if self.schema == "trades":
            rows["price"] = records["price"]
            rows["size"] = records["size"]
            side = records["side"]
            rows["aggressor"] = (side == b"B").astype("i1") - (side == b"A")
        else:
            rows["is_snapshot"] = (records["flags"] & F_SNAPSHOT) != 0
            for name in ("bid_px", "bid_sz", "ask_px", "ask_sz"):
                rows["levels"][name] = records["levels"][name]
        return rows

    def _accept(self, keep: NDArray[np.bool_], good: NDArray[np.bool_], reason: str) -> NDArray[np.bool_]:
        if count := int((keep & ~good).sum()):
            self.tally.rejected[reason] = self.tally.rejected.get(reason, 0) + count
        return good

    def _symbol_numbers(self, ids: NDArray[np.uint32], days: Int64s) -> NDArray[np.uint32]:
        keys = ids.astype("i8") << _DAY_BITS | days
        if keys[0] == keys[-1] and (keys == keys[0]).all():  # one instrument, one day: nearly every chunk
            number = self._symbol_number(int(keys[0]), len(keys))
            return np.full(len(keys), number, np.uint32)
        unique, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
        numbers = [self._symbol_number(int(key), int(n)) for key, n in zip(unique, counts, strict=True)]
        return np.array(numbers, np.uint32)[inverse]

    def _symbol_number(self, key: int, count: int) -> int:
        instrument_id, day = key >> _DAY_BITS, key & ((1 << _DAY_BITS) - 1)
        name = self._symbols.name(instrument_id, day)
        if name is None:
            self.tally.unresolved[instrument_id] = self.tally.unresolved.get(instrument_id, 0) + count
            name = str(instrument_id)
        elif self._on_front is not None and key not in self._told:
            self._told.add(key)
            if any(map(is_continuous, self._symbols.names(instrument_id, day))):
                self._on_front(name, instrument_id, day)
        return self._names.number(name)
