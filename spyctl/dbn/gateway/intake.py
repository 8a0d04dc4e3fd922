"""Records of the gateway → events to publish, by the very normalizer and encoder that files go through."""

from collections.abc import Callable, Collection, Iterator, Sequence

import numpy as np

from spyctl.dbn.gateway.instruments import Instruments
from spyctl.dbn.gateway.places import Places
from spyctl.dbn.gateway.protocol import SCHEMAS
from spyctl.dbn.gateway.refill import Refill
from spyctl.dbn.normalize import Normalizer
from spyctl.dbn.records import Header, Piece, Records, record_dtype
from spyctl.dbn.sort_times import Selection, Sequencer
from spyctl.market.columns import DTYPES, Batch, Names, Rows
from spyctl.market.encode import encode_batch
from spyctl.market.events import EventSource
from spyctl.market.feeds import Reject, WrittenArrival, WrittenEvent
from spyctl.market.subjects import SUBJECTS
from spyctl.market.symbology import CaptureMapping
from spyctl.timing.instants import DAY

_CHUNK = 8_192  # records made into events at once
_LETTERS = {"trades": "FT", "mbp-10": "FB"}  # for identities


def ts_event_of(identity: str) -> int:
    """Return the event time (Unix ns) in the identity of a futures event."""
    return int(identity.rsplit(".", 3)[1])


class Intake:
    """Makes events of the records of one session after the other.

    What arrives together is put in the order that files have: sort time, then trades before mbp-10. ``on_front`` is
    told of a continuous symbol that stands for another instrument than before. Events with the ``stored`` identities
    are not new; as long as the first session sends again what was, each of them is awaited.
    """

    def __init__(
        self, feed: str, source: EventSource, on_front: Callable[[str], None], stored: Collection[str] = ()
    ) -> None:
        self.places = Places()
        self.refill: Refill | None = None
        self._feed = feed
        self._source = source
        self._stored = set(stored)
        self._instruments = Instruments(on_front)
        self._names = Names()
        self._runs: dict[tuple[str, int], tuple[int, int]] = {}  # by schema and symbol: ts_event, events that bear it
        self._newest_ns = 0  # sort time
        self._start_ns: int | None = None
        self._normalizers: dict[str, Normalizer] = {}
        self._header: Header

    def begin(self, header: Header, start_ns: int | None) -> None:
        """Begin with the records of a session, which sends again what happened from ``start_ns`` on (Unix ns)."""
        self._header = header
        self._start_ns = start_ns
        self.refill = None
        self._stored = {each for each in self._stored if start_ns is not None and ts_event_of(each) >= start_ns}
        self.places.begin(start_ns)
        self._normalizers = {}
        self._instruments.begin()
        self._rename()

    def learn(self, mappings: Sequence[CaptureMapping], now_ns: int) -> None:
        """Take in what instruments are called."""
        self._instruments.learn(mappings, now_ns // DAY)
        self._rename()

    def take(self, piece: Piece, now_ns: int, clock_ns: int) -> WrittenArrival:
        """Return what some records come to that arrived at an instant (Unix ns, and monotonic ns)."""
        events: list[WrittenEvent] = []
        late_ns: list[int] = []
        repeated = 0
        rejects: list[Reject] = []
        oddities: list[str] = []
        for chunk in self._chunks(piece):
            parts: list[Rows] = []
            for schema, records in chunk.items():
                if not len(records):
                    parts.append(np.empty(0, DTYPES[schema]))
                    continue
                new = self._note(schema, records, now_ns)
                repeated += len(records) - int(new.sum())
                parts.append(self._rows(schema, records[new], rejects, oddities))
            batch = self._ordered(parts[0], parts[1], oddities)
            written = self._written(batch)
            new_events = self._not_stored(written) if self._stored else written
            repeated += len(written) - len(new_events)
            events += new_events
            if self.is_live:
                late_ns += (now_ns - batch.column("ts_event_ns")).tolist()
        return WrittenArrival(self._feed, events, rejects, oddities, clock_ns, repeated, late_ns)

    @property
    def is_live(self) -> bool:
        """Whether nothing is being sent again."""
        return self.refill is None and self._start_ns is None

    def missing(self, before_ns: int | None = None) -> int:
        """Return how many events at least the gateway has not sent again.

        With ``before_ns`` (Unix ns) a replay broke off, and the next one begins there.
        """
        short = self.places.short + (self.places.outstanding if before_ns is None else 0) + self._lacking(before_ns)
        return max(short, self.refill.unmatched(before_ns) if self.refill is not None else 0)

    def end_refill(self) -> None:
        """Note that from now on everything is live."""
        self.refill = self._start_ns = None
        self._stored.clear()
        self.places.begin(None)

    # --- what an earlier run has stored

    def _not_stored(self, written: Sequence[WrittenEvent]) -> list[WrittenEvent]:
        new = [event for event in written if event.identity not in self._stored]
        if len(new) < len(written):
            self._stored.difference_update(event.identity for event in written)
        return new

    def _lacking(self, before_ns: int | None) -> int:
        # What is stored and did not come again, though it should have by now, is no longer awaited.
        gone = {each for each in self._stored if before_ns is None or ts_event_of(each) < before_ns}
        self._stored -= gone
        return len(gone)

    # --- records → rows → bytes

    def _rename(self) -> None:
        for schema in SCHEMAS:
            sequencer = Sequencer(Selection(), self._instruments.symbols)
            if schema in self._normalizers:
                sequencer.newest_ns = self._normalizers[schema].sequencer.newest_ns
            self._normalizers[schema] = Normalizer(
                self._header.dataset, schema, self._instruments.symbols, self._names, sequencer,
                self._instruments.front,
            )  # fmt: skip

    def _chunks(self, piece: Piece) -> Iterator[dict[str, Records]]:
        ts_out = self._header.ts_out
        for first in range(0, len(piece.starts), _CHUNK):
            part = Piece(piece.data, piece.starts[first : first + _CHUNK], piece.offset)
            yield {schema: self._of_schema(part, schema, ts_out=ts_out) for schema in SCHEMAS}

    def _of_schema(self, piece: Piece, schema: str, *, ts_out: bool) -> Records:
        dtype = record_dtype(schema, ts_out=ts_out)
        return next(piece.of_schema(schema, dtype, _CHUNK, self._instruments.epochs), np.empty(0, dtype))

    def _note(self, schema: str, records: Records, now_ns: int) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        # Which records are new; of a replay all are counted.
        if self._start_ns is not None:
            if self.refill is None:
                began_ns = int(records["ts_out"][0]) if self._header.ts_out else now_ns  # by the gateway's clock
                self.refill = Refill(self._start_ns, began_ns)
            self.refill.take(schema, records)
        return self.places.new(schema, records)

    def _rows(self, schema: str, records: Records, rejects: list[Reject], oddities: list[str]) -> Rows:
        if not len(records):
            return np.empty(0, DTYPES[schema])
        normalizer = self._normalizers[schema]
        rows = normalizer.rows(records)
        counts = normalizer.counts
        for reason, count in counts.rejected.items():
            rejects += [Reject(reason, f"{schema} of instrument {records['instrument_id'][0]}")] * count
        counts.forget_rejects()
        oddities += ["unresolved"] * sum(counts.unresolved.values())
        counts.unresolved.clear()
        oddities += ["late"] * int(rows["late"].sum())
        return rows

    def _ordered(self, trades: Rows, books: Rows, oddities: list[str]) -> Batch:
        sort_ns = np.concatenate([trades["sort_ns"], books["sort_ns"]])
        if len(sort_ns):
            oddities += ["out_of_order"] * int((sort_ns < self._newest_ns).sum())
            self._newest_ns = max(self._newest_ns, int(sort_ns.max()))
        return Batch((trades, books), np.argsort(sort_ns, kind="stable"), self._names, self._source)

    def _written(self, batch: Batch) -> list[WrittenEvent]:
        if not len(batch):
            return []
        identities = [
            *self._identities("trades", batch.parts[0]), *self._identities("mbp-10", batch.parts[1])
        ]  # fmt: skip
        symbols = [self._names.texts[number] for number in batch.column("symbol").tolist()]
        numbers = batch.order.tolist()
        trades = len(batch.parts[0])
        written: list[WrittenEvent] = []
        for encoded in encode_batch(batch):
            for payload, rank in zip(encoded.payloads(), encoded.ranks.tolist(), strict=True):
                place = len(written)
                stale = f"FB.{symbols[place]}" if numbers[place] >= trades else None
                written.append(WrittenEvent(payload, identities[numbers[place]], SUBJECTS[rank], stale))
        return written

    def _identities(self, schema: str, rows: Rows) -> Sequence[str]:
        # A record is known by what it is of, when it happened, its packet, and its place among those of that instant.
        letter, texts, runs = _LETTERS[schema], self._names.texts, self._runs
        identities = []
        for number, ts, seq in zip(
            rows["symbol"].tolist(), rows["ts_event_ns"].tolist(), rows["seq"].tolist(), strict=True
        ):
            before, place = runs.get((letter, number), (0, 0))
            place = place + 1 if before == ts else 0
            runs[letter, number] = ts, place
            identities.append(f"{letter}.{texts[number].replace(' ', '_')}.{ts}.{seq}.{place}")
        return identities
