"""DBN records → canonical columns: the only place that knows what a DBN field means.

| column      | DBN field            | rule                                                                  |
|-------------|----------------------|-----------------------------------------------------------------------|
| ts_event_ns | ts_event             | unchanged; a record without one is rejected                            |
| ts_recv_ns  | ts_recv              | ``ts_event`` where undefined                                          |
| price       | price                | a trade with ``UNDEF_PRICE`` is rejected; negative prices are valid   |
| aggressor   | side                 | ``B`` buy, ``A`` sell, anything else neither                          |
| exchange    | publisher_id         | of the dataset, ``XOFF`` where the publisher reports deals off the book |
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

from spyctl.dbn.sort_times import (
    Int64s,
    Sequencer,
    SortTimes,
    instrument_keys,
    is_snapshot,
    split_instrument_key,
)
from spyctl.dbn.venues import exchanges
from spyctl.market.columns import DTYPES, LEVEL_DTYPE, UNDEF_PRICE, Names, Rows, taken
from spyctl.market.symbology import SymbolMap, is_continuous


@dataclass(slots=True)
class RecordCounts:
    """How many records were read, and by reason those that did not become an event, or not one with a name.

    ``rejects`` are the sort times of the rejected ones, where they are known.
    """

    read: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    unresolved: dict[int, int] = field(default_factory=dict)
    rejects: list[tuple[str, Int64s]] = field(default_factory=list)

    def reject(self, reason: str, sort_ns: Int64s) -> None:
        """Count records that do not become events."""
        self.rejected[reason] = self.rejected.get(reason, 0) + len(sort_ns)
        self.rejects.append((reason, sort_ns))

    def forget_rejects(self, behind_ns: int = -(1 << 63)) -> None:
        """Take back what was rejected later than ``behind_ns``: it was only read ahead."""
        kept, self.rejects = self.rejects, []
        for reason, sort_ns in kept:
            before = sort_ns[sort_ns <= behind_ns]
            self.read -= len(sort_ns) - len(before)
            self.rejected[reason] -= len(sort_ns) - len(before)
            if len(before):
                self.rejects.append((reason, before))
        self.rejected = {reason: count for reason, count in self.rejected.items() if count}


def _copy_levels(rows: Rows, records: Rows) -> None:
    # A canonical level is the beginning of one of DBN, which has counts of orders behind it.
    words = LEVEL_DTYPE.itemsize // 8
    levels, canonical = records["levels"], rows["levels"]
    shape = levels.shape
    canonical.view("u8").reshape(*shape, words)[:] = levels.view("u8").reshape(*shape, -1)[..., :words]


class Normalizer:
    """Turns the records of one file, chunk after chunk, into canonical rows."""

    def __init__(
        self,
        dataset: str,
        schema: str,
        symbols: SymbolMap,
        names: Names,
        sequencer: Sequencer,
        on_front: Callable[[str, int, int], None] | None = None,
    ) -> None:
        """``symbols`` names the instruments; ``on_front`` is told name and instrument id of each continuous symbol met,
        and the first ``ts_recv`` of a UTC day."""
        self.schema = schema
        self._dataset = dataset
        self.sequencer = sequencer
        self.counts = RecordCounts()
        self._symbols = symbols
        self._names = names
        self._on_front = on_front
        self._fronts_seen: set[int] = set()

    def rows(self, records: Rows) -> Rows:
        """Return the canonical rows of the next records of the file; rejects are counted in ``counts``."""
        times = self.sequencer.next(records)
        keep = self._acceptable(records, times)
        if not keep.any():
            return np.empty(0, DTYPES[self.schema])
        sort_ns, late, ts_recv_ns = times.sort_ns, times.late, times.ts_recv_ns
        if not keep.all():  # nearly every chunk is kept whole, without a copy
            records, sort_ns, late, ts_recv_ns = taken(records, keep), sort_ns[keep], late[keep], ts_recv_ns[keep]
        rows = np.empty(len(records), DTYPES[self.schema])
        rows["sort_ns"] = sort_ns
        rows["late"] = late
        rows["ts_event_ns"] = records["ts_event"]
        rows["ts_recv_ns"] = ts_recv_ns
        rows["symbol"] = self._symbol_numbers(instrument_keys(records, ts_recv_ns), ts_recv_ns)
        rows["seq"] = records["sequence"]
        if self.schema == "trades":
            rows["price"] = records["price"]
            rows["size"] = records["size"]
            side = records["side"]
            rows["aggressor"] = (side == b"B").astype("i1") - (side == b"A")
            rows["exchange"] = exchanges(self._dataset, records["publisher_id"])
        else:
            rows["is_snapshot"] = is_snapshot(records)
            _copy_levels(rows, records)
        return rows

    def _acceptable(self, records: Rows, times: SortTimes) -> NDArray[np.bool_]:
        # Which of the selected records become events.
        keep = times.selected
        self.counts.read += int(keep.sum())
        reasons = [("no_ts_event", records["ts_event"].view("i8") < 0)]
        if self.schema == "trades":
            reasons.append(("no_price", records["price"] == UNDEF_PRICE))
        for reason, bad in reasons:
            if (rejected := keep & bad).any():
                self.counts.reject(reason, times.sort_ns[rejected])
                keep = keep & ~bad
        return keep

    def _symbol_numbers(self, keys: Int64s, ts_recv_ns: Int64s) -> NDArray[np.uint32]:
        if keys[0] == keys[-1] and (keys == keys[0]).all():  # one instrument, one day: nearly every chunk
            number = self._symbol_number(int(keys[0]), len(keys), int(ts_recv_ns[0]))
            return np.full(len(keys), number, np.uint32)
        _, places, inverse, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
        numbers = np.zeros(len(places), np.uint32)
        for number in np.argsort(places).tolist():  # as they come
            place = places[number]
            numbers[number] = self._symbol_number(int(keys[place]), int(counts[number]), int(ts_recv_ns[place]))
        return numbers[inverse]

    def _symbol_number(self, key: int, count: int, first_ns: int) -> int:
        instrument_id, day, epoch = split_instrument_key(key)
        names = self._symbols.names(instrument_id, day, epoch)
        if not names:
            self.counts.unresolved[instrument_id] = self.counts.unresolved.get(instrument_id, 0) + count
            return self._names.number(str(instrument_id))
        if self._on_front is not None and key not in self._fronts_seen:
            self._fronts_seen.add(key)
            for symbol in filter(is_continuous, names):
                self._on_front(self._symbols.published(symbol), instrument_id, first_ns)
        return self._names.number(self._symbols.published(names[0]))
