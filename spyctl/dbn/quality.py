"""How good the data of a day is: sequence, times, flags, books and quiet stretches.

All of it is gathered in one pass over each file, in memory that does not depend on the file's size. Flags are those
of databento/dbn ``flags.rs``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from spyctl.dbn.file_info import DBNFileInfo
from spyctl.dbn.sort_times import REORDER_WINDOW, Int64s, effective_recv, is_snapshot
from spyctl.dbn.trade_match import received_records, unmatched_trades
from spyctl.errors import DamagedFileError
from spyctl.market.columns import PRICE_SCALE, SCHEMAS, UNDEF_PRICE, Rows
from spyctl.market.sessions import trading_day
from spyctl.timing.instants import DAY, MAX_INSTANT, SECOND, US, date_of, day_start

F_BAD_TS_RECV = 8
F_MAYBE_BAD_BOOK = 4
QUIET_NS = 60 * SECOND
SECONDS = DAY // SECOND
_MAX_QUIET = 8
_PER_DECADE = 100  # bins of the latency histogram: its percentiles are within 2.4 %
_DECADES = 10  # from 1 µs


@dataclass(slots=True)
class PerSecond:
    """A value for each second of the UTC day, by ``ts_recv``."""

    records: Int64s = field(default_factory=lambda: np.zeros(SECONDS, np.int64))
    spread_sum: NDArray[np.float64] = field(default_factory=lambda: np.zeros(SECONDS))
    spreads: Int64s = field(default_factory=lambda: np.zeros(SECONDS, np.int64))
    price_sum: NDArray[np.float64] = field(default_factory=lambda: np.zeros(SECONDS))  # of trades, or mid prices
    prices: Int64s = field(default_factory=lambda: np.zeros(SECONDS, np.int64))
    latency_sum_ns: NDArray[np.float64] = field(default_factory=lambda: np.zeros(SECONDS))
    latencies: Int64s = field(default_factory=lambda: np.zeros(SECONDS, np.int64))
    latency_max_ns: Int64s = field(default_factory=lambda: np.zeros(SECONDS, np.int64))


@dataclass(slots=True)
class Quality:
    """What one schema is like on one UTC day: a plain record, one attribute for each figure of the report.

    Times and durations are in ns, counts are of records.
    ``latency`` is ``ts_recv`` − ``ts_event``. A sequence reset is a number below the one before it of the same
    instrument, an inversion a ``ts_event`` before one that lies earlier in the file; snapshots count for neither.
    ``late`` are further back than the reorder window. ``quiet`` are the longest stretches without a record,
    ``quiets`` counts those of :data:`QUIET_NS` or more. ``unmatched_trades`` are trades that the other schema lacks,
    ``None`` where there is no other.
    """

    schema: str
    records: int = 0
    snapshots: int = 0
    instruments: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    peak_per_s: int = 0
    latency_p50_ns: int | None = None
    latency_p99_ns: int | None = None
    latency_max_ns: int | None = None
    received_before_event: int = 0
    sequence_resets: int = 0
    inversions: int = 0
    largest_inversion_ns: int = 0
    late: int = 0
    bad_ts_recv: int = 0
    maybe_bad_book: int = 0
    crossed: int = 0
    locked: int = 0
    quiets: int = 0
    quiet: list[tuple[int, int]] = field(default_factory=list)
    unmatched_trades: int | None = None
    damage: list[DamagedFileError] = field(default_factory=list)

    @property
    def leads(self) -> bool:
        """Whether quiet stretches of this schema matter: books may change while there are no trades."""
        return self.schema == "mbp-10" or self.unmatched_trades is None

    def doubts(self) -> list[str]:
        """Say in words what somebody should look at."""
        if not self.records and not self.damage:
            return [f"{self.schema}: no record on this day"]
        counts = [
            (self.sequence_resets, "sequence reset", ""),
            (self.inversions, "ts_event inversion", ""),
            (self.late, "record", " later than the reorder window"),
            (self.bad_ts_recv, "record", " flagged BAD_TS_RECV"),
            (self.maybe_bad_book, "record", " flagged MAYBE_BAD_BOOK"),
            (self.crossed, "crossed book", ""),
            (self.unmatched_trades or 0, "unmatched trade", ""),
            (self.received_before_event, "record", " received before the event"),
            (len(self.damage), "damaged file", ""),
        ]
        if self.leads:
            outside_breaks = self.quiets - sum(in_daily_break(*stretch) for stretch in self.quiet)
            counts.append((outside_breaks, "quiet spell", " of a minute or more"))
        return [
            f"{self.schema}: {count:,} {noun if count == 1 else f'{noun}s'}{rest}"
            for count, noun, rest in counts
            if count
        ]


@dataclass(slots=True)
class QuietStretches:
    """The stretches of :data:`QUIET_NS` or more without a record: how many, and the ``longest`` of them."""

    count: int = 0
    longest: list[tuple[int, int]] = field(default_factory=list)
    _newest_ns: int | None = None

    def add(self, times: Int64s) -> None:
        """Go on with the times of the next records, of which there is one at least."""
        before = self._newest_ns if self._newest_ns is not None else int(times[0])
        running = np.maximum.accumulate(np.concatenate([[before], times]))
        for place in np.flatnonzero(np.diff(running) >= QUIET_NS).tolist():
            self.count += 1
            self.longest.append((int(running[place]), int(running[place + 1])))
        self.longest.sort(key=lambda stretch: stretch[0] - stretch[1])
        del self.longest[_MAX_QUIET:]
        self._newest_ns = int(running[-1])

    def restart(self) -> None:
        """Take the next time for a beginning."""
        self._newest_ns = None


@dataclass(slots=True)
class Inversions:
    """The events that happened before one which lies earlier: how many, and how far back at most."""

    count: int = 0
    largest_ns: int = 0
    newest_ns: int = 0

    def add(self, ts_event: Int64s) -> None:
        """Go on with the next events, of which there is one at least."""
        newest = np.maximum.accumulate(np.concatenate([[self.newest_ns], ts_event]))
        back = newest[:-1] - ts_event
        self.count += int((back > 0).sum())
        self.largest_ns = max(self.largest_ns, int(back.max()))
        self.newest_ns = int(newest[-1])

    def restart(self) -> None:
        """Take the next event for a beginning."""
        self.newest_ns = 0


def in_daily_break(from_ns: int, to_ns: int) -> bool:
    """Tell whether a quiet stretch is (nearly) the break of CME from 17:00 to 18:00 New York, or a weekend's."""
    day = date_of(from_ns)
    starts, ends = trading_day(day)[1], trading_day(day + timedelta(days=1))[0]
    return starts - 2 * QUIET_NS <= from_ns <= starts + 2 * QUIET_NS and to_ns <= ends + 10 * QUIET_NS


def assess(
    infos: Sequence[DBNFileInfo],
    day: date,
    symbols: tuple[str, ...] = (),
    advance: Callable[[int], None] = lambda _: None,
) -> dict[str, tuple[Quality, PerSecond]]:
    """Look through the files of a UTC day; returns quality and figures per second by schema.

    ``symbols`` are the words of a :class:`SymbolChoice`; ``advance`` is told the bytes of records read. Damage is
    noted in the result, which then covers what is whole.
    """
    by_schema = {schema: [info for info in infos if info.schema == schema] for schema in SCHEMAS}
    assessed = {}
    for schema, files in by_schema.items():
        if not files:
            continue
        assessment = _Assessment(Quality(schema), PerSecond(), day)
        for records in received_records(files, day, symbols, assessment.quality.damage):
            advance(records.nbytes)
            assessment.add(records)
        assessment.finish()
        assessed[schema] = (assessment.quality, assessment.seconds)
    if len(assessed) == len(SCHEMAS):
        counts = unmatched_trades(by_schema["trades"], by_schema["mbp-10"], day, symbols)
        for (quality, _), count in zip(assessed.values(), counts, strict=True):
            quality.unmatched_trades = count
    return assessed


class _Assessment:
    def __init__(self, quality: Quality, seconds: PerSecond, day: date) -> None:
        self.quality = quality
        self.seconds = seconds
        self._midnight_ns = day_start(day)
        self._sequences: dict[int, int] = {}  # instrument id → the last number
        self._inversions = Inversions()
        self._quiet = QuietStretches()
        self._histogram = np.zeros(_DECADES * _PER_DECADE + 1, np.int64)

    def add(self, records: Rows) -> None:
        quality = self.quality
        ts_recv = effective_recv(records)
        flags = records["flags"]
        snapshot = is_snapshot(records)
        quality.records += len(records)
        quality.snapshots += int(snapshot.sum())
        # At midnight the gateway makes up the time of a snapshot, and flags it.
        quality.bad_ts_recv += int((((flags & F_BAD_TS_RECV) != 0) & ~snapshot).sum())
        quality.maybe_bad_book += int(((flags & F_MAYBE_BAD_BOOK) != 0).sum())
        second = np.clip((ts_recv - self._midnight_ns) // SECOND, 0, SECONDS - 1)
        self.seconds.records += np.bincount(second, minlength=SECONDS)
        self._quiet.add(ts_recv)
        self._add_prices(records, second)
        if "levels" in (records.dtype.names or ()):
            self._add_books(records, second)
        real = ~snapshot & (records["ts_event"].view("i8") >= 0)
        if real.any():
            ts_event = records["ts_event"].view("i8")[real]
            self._add_times(ts_event, ts_recv[real], second[real])
            self._add_sequences(records["instrument_id"][real], records["sequence"][real])

    def _add_prices(self, records: Rows, second: Int64s) -> None:
        if "levels" in (records.dtype.names or ()):
            top = records["levels"][:, 0]
            known = (top["bid_px"] != UNDEF_PRICE) & (top["ask_px"] != UNDEF_PRICE)
            price = (top["bid_px"] // 2 + top["ask_px"] // 2) / PRICE_SCALE
        else:
            known = records["price"] != UNDEF_PRICE
            price = records["price"] / PRICE_SCALE
        self.seconds.price_sum += np.bincount(second[known], price[known], minlength=SECONDS)
        self.seconds.prices += np.bincount(second[known], minlength=SECONDS)

    def _add_books(self, records: Rows, second: Int64s) -> None:
        top = records["levels"][:, 0]
        both = (top["bid_px"] != UNDEF_PRICE) & (top["ask_px"] != UNDEF_PRICE)
        spread = np.where(both, top["ask_px"] - top["bid_px"], 0)
        self.quality.crossed += int((both & (spread < 0)).sum())
        self.quality.locked += int((both & (spread == 0)).sum())
        self.seconds.spread_sum += np.bincount(second[both], spread[both] / PRICE_SCALE, minlength=SECONDS)
        self.seconds.spreads += np.bincount(second[both], minlength=SECONDS)

    def _add_times(self, ts_event: Int64s, ts_recv: Int64s, second: Int64s) -> None:
        quality = self.quality
        quality.first_ns = min(quality.first_ns or MAX_INSTANT, int(ts_event.min()))
        quality.last_ns = max(quality.last_ns or 0, int(ts_event.max()))
        self._inversions.add(ts_event)
        latency = ts_recv - ts_event
        quality.late += int((np.abs(latency) > REORDER_WINDOW).sum())
        quality.received_before_event += int((latency < 0).sum())
        quality.latency_max_ns = max(quality.latency_max_ns or 0, int(latency.max()))
        bins = np.log10(np.maximum(latency, US) / US) * _PER_DECADE
        self._histogram += np.bincount(
            np.minimum(bins.astype(np.int64), len(self._histogram) - 1), minlength=len(self._histogram)
        )
        self.seconds.latency_sum_ns += np.bincount(second, latency, minlength=SECONDS)
        self.seconds.latencies += np.bincount(second, minlength=SECONDS)
        np.maximum.at(self.seconds.latency_max_ns, second, latency)

    def _add_sequences(self, ids: NDArray[np.uint32], sequences: NDArray[np.uint32]) -> None:
        order = np.argsort(ids, kind="stable")
        ids, numbers = ids[order], sequences[order].astype(np.int64)
        starts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
        steps = np.diff(numbers, prepend=0)
        for place in starts.tolist():
            steps[place] = numbers[place] - self._sequences.get(int(ids[place]), 0)
        for first, end in zip(starts.tolist(), [*starts[1:].tolist(), len(ids)], strict=True):
            self._sequences[int(ids[first])] = int(numbers[end - 1])
        self.quality.sequence_resets += int((steps < 0).sum())

    def finish(self) -> None:
        quality = self.quality
        quality.instruments = len(self._sequences)
        quality.peak_per_s = int(self.seconds.records.max())
        quality.inversions, quality.largest_inversion_ns = self._inversions.count, self._inversions.largest_ns
        quality.quiets, quality.quiet = self._quiet.count, sorted(self._quiet.longest)
        total = np.cumsum(self._histogram)
        if total[-1]:
            p50, p99 = (int(np.searchsorted(total, share * total[-1])) for share in (0.5, 0.99))
            quality.latency_p50_ns, quality.latency_p99_ns = (
                round(US * 10 ** ((place + 0.5) / _PER_DECADE)) for place in (p50, p99)
            )
