"""The live path: frames → events → backlog → acknowledged, beside it the strike window and the gaps.

The feeds only hand over frames, stamped on arrival. Parsing and publishing run in batches of their own, so that a
slow server never holds up the reading; what waits in between is bounded.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

from spyctl.bus.in_flight import Delivery, Sink
from spyctl.errors import ExitCode, KeyRefusedError, UnreachableError
from spyctl.live.backlog import MAX_EVENTS, Backlog, Pending
from spyctl.live.filter import Intake
from spyctl.live.gaps import Gaps
from spyctl.live.listed_contracts import Listing
from spyctl.live.strike_manager import StrikeManager
from spyctl.live.strike_window import Window
from spyctl.market.encode import encoded_events
from spyctl.market.events import EventSource, Gap, OptionTrade, StockQuote, StockTrade
from spyctl.market.sessions import in_regular_hours
from spyctl.market.subjects import encode, rank_of, subject_of, with_prefix
from spyctl.massive.backfill import Backfill, Filler
from spyctl.massive.feed import Feed
from spyctl.massive.normalize import OPTIONS, STOCKS, LiveEvent, Parsed, normalize, parse_frame
from spyctl.timing.histogram import Percentiles
from spyctl.timing.instants import SECOND, utc_text
from spyctl.timing.notes import Note
from spyctl.timing.tasks import end_task

SUBJECTS = tuple(map(subject_of, (StockTrade, StockQuote, OptionTrade, Gap)))
_GAPS = subject_of(Gap)
BATCH = 512
FRAMES_AT_ONCE = 64
MAX_FRAMES = 4_096
TICK_S = 0.05
LINGER_S = 0.001
FINISH_S = 30.0
RELAXED_S = 2.0  # without a drop, until an overflow is over
STALL_S = 15.0
SKEW_S = 10.0  # between looks at how late events arrive
LATE_S = 1.0  # from then on worth a word when a connection ends
_NOTES = 50


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """What to take in. ``expiry`` fixes the options' date; ``is_strange`` tells whether silence at an instant is."""

    symbol: str = "SPY"
    expiry: date | None = None
    source: EventSource = EventSource.POLYGON_WS
    prefix: str = ""
    require_options: bool = False
    is_strange: Callable[[int], bool] = in_regular_hours
    max_events: int = MAX_EVENTS


class Live:
    """One run of the live side; :meth:`run` goes on until :meth:`stop`. Counters may be read at any time.

    ``connected`` tells whether the NATS connection is up, ``listed`` which strikes (in thousandths) of an underlying
    exist for an expiry, ``None`` where that is not to be had; ``observer`` is shown each event, ``tell`` each note.
    """

    def __init__(
        self,
        sink: Sink,
        manager: StrikeManager,
        options: LiveOptions,
        *,
        run_id: str,
        connected: Callable[[], bool] = lambda: True,
        backfill: Backfill | None = None,
        listed: Callable[[str, date], Awaitable[frozenset[int] | None]] | None = None,
        observer: Callable[[LiveEvent], None] | None = None,
        tell: Callable[[Note], None] = lambda _: None,
    ) -> None:
        self.options = options
        self.run_id = run_id
        self.window = Window(manager, time.time_ns(), options.expiry)
        self.intake = Intake(options.symbol, self.window, partial(self._note, warning=True), observer)
        self.feeds: dict[str, Feed] = {}
        self.gaps = Gaps(options.source)
        self.backlog = Backlog(options.max_events)
        self.subjects = tuple(with_prefix(subject, options.prefix) for subject in SUBJECTS)
        self.by_subject: Counter[str] = Counter()
        self.notes: deque[Note] = deque(maxlen=_NOTES)
        self.warnings = 0
        self.refused: dict[str, KeyRefusedError] = {}
        self.stopped_by: str | None = None
        self.started_ns = self.ended_ns = 0
        self._sink = sink
        self._connected = connected
        self._tell_note = tell
        self._filler = (
            None
            if backfill is None
            else Filler(
                backfill,
                hold=self.intake.trades_seen.hold,
                release=self.intake.trades_seen.release,
                take=self._take_filled,
                note=lambda text, warning: self._note(text, warning=warning),
            )
        )
        self._listing = None if listed is None else Listing(listed, self.window, self._note)
        self._frames: deque[tuple[str, str | bytes, int, int]] = deque()
        self._arrived = asyncio.Event()
        self._filled, self._taken = asyncio.Event(), asyncio.Event()
        self._stop = asyncio.Event()
        self._sent = self._acked = 0
        self._refusals_told: set[str] = set()
        self._dropped_before = 0
        self._dropped_s = 0.0
        self._errands: set[asyncio.Task[None]] = set()
        self._publishing = self._published_before = 0

    # --- counts

    @property
    def delivery(self) -> Delivery:
        """What was sent and acknowledged, gap records included."""
        return self._sink.delivery

    @property
    def connected(self) -> bool:
        """Whether the NATS connection is up."""
        return self._connected()

    @property
    def published(self) -> int:
        """Events sent, without gap records and without those that the stream had before."""
        return self._sent - self.delivery.known

    @property
    def acked(self) -> int:
        """Those of them that the stream holds; never less than it has been, though gap records count for nothing."""
        in_flight = self.delivery.published - self.delivery.acked
        self._acked = max(self._acked, self.published - in_flight)
        return self._acked

    @property
    def dropped(self) -> int:
        """Events that had to go because the server took too long."""
        return sum(self.backlog.dropped.values())

    @property
    def backfilled(self) -> int:
        """Trades that a gap had left out."""
        return self._filler.filled if self._filler is not None else 0

    @property
    def queued(self) -> int:
        """Events that wait to be sent."""
        intake = self.intake
        return intake.received - self.published - sum(intake.rejected.values()) - self.doubles - self.dropped

    @property
    def doubles(self) -> int:
        """Events that had been received, or stored by an earlier run, before."""
        return self.intake.duplicates + self.delivery.known

    # --- running

    def stop(self, by: str) -> None:
        """End the run: reading stops, what was received is published and waited for."""
        self.stopped_by = self.stopped_by or by
        self._stop.set()
        for feed in self.feeds.values():
            feed.stop()

    async def run(self, feeds: Sequence[Feed]) -> None:
        """Take in what the feeds bring.

        Raises :class:`KeyRefusedError` where the key is refused for the stocks, or for a feed that was up before
        (with ``require_options`` for any), and what the sink raises.
        """
        self.started_ns = time.time_ns()
        self.feeds = {feed.market: feed for feed in feeds}
        if STOCKS in self.feeds:
            self.feeds[STOCKS].set_desired([f"T.{self.options.symbol}", f"Q.{self.options.symbol}"])
        parser, ticker = asyncio.create_task(self._parse_all()), asyncio.create_task(self._tick_all())
        publisher = asyncio.create_task(self._publish_all())
        readers = [asyncio.create_task(self._read(feed)) for feed in feeds]
        stop = asyncio.create_task(self._stop.wait())
        try:
            watched = {parser, ticker, publisher, *readers}
            while not self._stop.is_set() and watched:
                done, _ = await asyncio.wait({*watched, stop}, return_when=asyncio.FIRST_COMPLETED)
                for task in done - {stop}:
                    task.result()
                watched -= done
        finally:
            self.stopped_by = self.stopped_by or "error"
            for feed in feeds:
                feed.stop()
            await asyncio.wait(readers)
            for task in (stop, ticker, parser, *readers, *self._errands):
                await end_task(task)
            with suppress(Exception):  # it is on its way out already
                self._parse(len(self._frames))
            self._close_gaps()
            await self._finish(publisher)
            self.ended_ns = time.time_ns()

    async def _finish(self, publisher: "asyncio.Task[None]") -> None:
        # Waits for what was received to be stored, but not for ever for a server that stays away.
        drained = asyncio.create_task(self._drain(publisher))
        acked, since_s = -1, time.monotonic()
        while not drained.done() and time.monotonic() - since_s < FINISH_S:
            if self.delivery.acked != acked:
                acked, since_s = self.delivery.acked, time.monotonic()
            await asyncio.wait({drained}, timeout=TICK_S)
        await end_task(publisher)
        if drained.done():
            drained.result()
        else:
            await end_task(drained)
            unsent = self._publishing - (self.delivery.published - self._published_before) if self._publishing else 0
            missing = len(self.backlog) + unsent + self.delivery.published - self.delivery.acked
            raise UnreachableError(
                f"{missing:,} events or gap records could not be stored: NATS stays away",
                "look at its log, and at the network",
            )

    async def _drain(self, publisher: "asyncio.Task[None]") -> None:
        # NATS may come back meanwhile: the end of its gap is stored like everything else.
        while not publisher.done():
            if not (len(self.backlog) or self._publishing):
                await self._sink.drain()
                self._watch_server(time.time_ns())
                if not len(self.backlog):
                    break
            self._filled.set()
            await asyncio.sleep(TICK_S / 10)

    async def _read(self, feed: Feed) -> None:
        try:
            await feed.run()
        except KeyRefusedError as error:
            self.refused[feed.market] = error
            if feed.market == STOCKS or self.options.require_options or not feed.never_let_in:
                raise
            self._note(error.message, warning=True)

    # --- what the feeds say (see massive.feed.Watcher)

    def frame(self, feed: Feed, frame: str | bytes, ts_recv_ns: int) -> None:
        """Take a frame."""
        self._frames.append((feed.market, frame, ts_recv_ns, time.monotonic_ns()))
        self._arrived.set()
        if len(self._frames) > MAX_FRAMES:
            self._parse(FRAMES_AT_ONCE)  # reading waits for parsing, not the other way round

    def lost(self, feed: Feed, from_ns: int, reason: str) -> None:
        """Open a gap."""
        waiting, late_s = len(self._frames), self.intake.lateness_ns / SECOND
        if waiting > FRAMES_AT_ONCE or late_s > LATE_S:
            self._note(f"{feed.market}: before that {waiting:,} frames waited, events came up to {late_s:.1f} s late")
        self._tell(self.gaps.open(feed.market, from_ns, time.time_ns(), reason))
        if self._filler is not None:
            self._filler.lost(feed.market, feed.desired)

    def back(self, feed: Feed, to_ns: int) -> None:
        """Close a gap, and have it filled where that was asked for."""
        closed = self.gaps.close(feed.market, to_ns, time.time_ns())
        self._tell(closed)
        if self._filler is not None and closed is not None:
            self._filler.wanted(feed.market, feed.desired)
            self._beside(self._filler.fill(feed.market, closed.from_ns, closed.to_ns or time.time_ns()))

    def note(self, feed: Feed, text: str) -> None:
        """Keep a note."""
        self._note(text, warning=True)

    def _note(self, text: str, *, warning: bool = False) -> None:
        note = Note(time.time_ns(), text, "warning" if warning else "info")
        self.notes.append(note)
        self.warnings += warning
        self._tell_note(note)

    def _tell(self, gap: Gap | None) -> None:
        if gap is None:
            return
        state = "open" if gap.to_ns is None else "closed"
        length = f" {(gap.to_ns - gap.from_ns) / SECOND:.3f} s" if gap.to_ns is not None else ""
        self._note(f"gap {gap.feed}{length}: {state} ({gap.reason})", warning=gap.to_ns is None)
        self._append(Pending(encode(gap), f"G.{gap.gap_id}.{state}", subject_of(gap), "", time.monotonic_ns()))

    def _close_gaps(self) -> None:
        # Those of the feeds stay open: nobody knows what comes after the end.
        self._watch_server(time.time_ns())
        self._close_overflow()

    def _close_overflow(self) -> None:
        now_ns = time.time_ns()
        self._tell(self.gaps.close("overflow", now_ns, now_ns, self.dropped - self._dropped_before))

    # --- frames → events

    async def _parse_all(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._frames:
                self._parse(FRAMES_AT_ONCE)
                await asyncio.sleep(0)

    def _parse(self, count: int) -> None:
        for _ in range(min(count, len(self._frames))):
            market, frame, ts_recv_ns, clock_ns = self._frames.popleft()
            self._take(parse_frame(frame, market, ts_recv_ns, self.options.source), market, clock_ns)

    def _take(self, parsed: Parsed, market: str, clock_ns: int, expected: Collection[str] = ()) -> None:
        for status in parsed.statuses if market in self.feeds else ():
            self.feeds[market].status(status.status, status.message)
        for event in self.intake.take(parsed, market, clock_ns, expected):
            self._append(event)

    def _append(self, event: Pending) -> None:
        dropped = self.dropped
        self.backlog.append(event)
        self._filled.set()
        if self.dropped > dropped:
            self._dropped_s = time.monotonic()
            now_ns = time.time_ns()
            from_ns = now_ns - (time.monotonic_ns() - self.backlog.dropped_from_ns)
            if gap := self.gaps.open("overflow", from_ns, now_ns, "the server was too slow"):
                self._dropped_before = dropped
            self._tell(gap)

    def messages(self, messages: Sequence[object], market: str, ts_recv_ns: int) -> None:
        """Take messages in wire form that came in another way than through a feed of ours."""
        self._take(normalize(messages, market, ts_recv_ns, self.options.source), market, time.monotonic_ns())

    # --- events → the server

    async def _publish_all(self) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            await self.publish_waiting()
            await asyncio.sleep(LINGER_S)  # what arrives meanwhile goes together, which costs a fraction

    async def publish_waiting(self) -> None:
        """Publish what waits; returns when all of it is sent."""
        while batch := self.backlog.take(BATCH):
            self._publishing, self._published_before = len(batch), self.delivery.published
            self._taken.set()
            await self._sink.publish(
                encoded_events(
                    [event.payload for event in batch],
                    [rank_of(event.subject) for event in batch],
                    [event.identity.encode() for event in batch],
                    batch[0].received_ns,
                )
            )
            self.by_subject.update(event.subject for event in batch)
            self._sent += sum(event.subject != _GAPS for event in batch)
            self._publishing = 0

    # --- now and then

    async def _tick_all(self) -> None:
        next_skew_s = time.monotonic()
        while True:
            now_ns = time.time_ns()
            self._follow(now_ns)
            self._watch_stall(now_ns)
            self._watch_options()
            self._watch_server(now_ns)
            if time.monotonic() >= next_skew_s:
                next_skew_s += SKEW_S
                self.intake.watch_skew()
            await asyncio.sleep(TICK_S)

    def _follow(self, now_ns: int) -> None:
        expiry = self.window.manager.expiry
        if self.window.tick(now_ns, time.monotonic_ns()) and self.window.manager.expiry != expiry:
            self.intake.forget_prints()
            self._note(f"options now of {self.window.manager.expiry}")
        if OPTIONS in self.feeds and self.feeds[OPTIONS].desired != self.window.topics:
            self.feeds[OPTIONS].set_desired(self.window.topics)
            if self._filler is not None:
                self._filler.wanted(OPTIONS, self.window.topics)
        if self._listing is not None and self._listing.due():
            self._beside(self._listing.refresh())

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._errands.add(task)
        task.add_done_callback(self._errand_done)

    def _errand_done(self, task: "asyncio.Task[None]") -> None:
        self._errands.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._note(f"an answer of the vendor makes no sense: {type(error).__name__}: {error}", warning=True)

    def _watch_stall(self, now_ns: int) -> None:
        # Quiet is normal for options, and for stocks outside the regular session.
        feed = self.feeds.get(STOCKS)
        if feed is None or feed.state != "up" or not self.options.is_strange(now_ns):
            return
        # Trades alone do not prove it alive: the window follows the quotes.
        quotes = f"Q.{self.options.symbol}" in feed.held
        since_s = max(feed.up_since_s, self.intake.last_quote_s) if quotes else feed.last_frame_s
        if time.monotonic() - since_s >= STALL_S:
            feed.reconnect(f"no quote for {STALL_S:.0f} s" if quotes else f"nothing for {STALL_S:.0f} s")

    def _watch_options(self) -> None:
        feed = self.feeds.get(OPTIONS)
        if self.options.require_options and feed is not None and feed.desired and feed.missing >= feed.desired:
            raise KeyRefusedError(
                f"the options feed acknowledges no contract: {feed.words or 'not authorized'}",
                "spyctl probe tells what the key is good for",
            )

    def _watch_server(self, now_ns: int) -> None:
        for words in self.delivery.refusals.keys() - self._refusals_told:
            self._refusals_told.add(words)
            self._note(f"the server refuses to store events: {words}; tried again", warning=True)
        if not self._connected():
            self._tell(self.gaps.open("nats", now_ns, now_ns, "NATS is away"))
        else:
            self._tell(self.gaps.close("nats", now_ns, now_ns, 0))  # what had to go is told as the overflow
        relaxed = time.monotonic() - self._dropped_s > RELAXED_S and len(self.backlog) < self.options.max_events // 2
        if "overflow" in self.gaps.open_now and relaxed:
            self._close_overflow()

    async def _take_filled(self, messages: Sequence[object], market: str, symbols: Collection[str]) -> int:
        filled = 0
        for start in range(0, len(messages), BATCH):
            while len(self.backlog) > self.options.max_events // 2:  # what is live goes first
                self._taken.clear()
                await self._taken.wait()
            some = normalize(messages[start : start + BATCH], market, time.time_ns(), EventSource.POLYGON_REST)
            before = self.intake.duplicates
            self._take(some, market, time.monotonic_ns(), symbols)
            filled += len(some.events) - (self.intake.duplicates - before)
            await asyncio.sleep(0)
        return filled

    # --- results

    def summary(self, stream: str | None = None) -> dict[str, Any]:
        """Return the summary of the run with the keys of the published contract; see :meth:`Replay.summary`."""
        delivery, intake = self.delivery, self.intake
        wall_ns = max(0, (self.ended_ns or time.time_ns()) - self.started_ns)
        ack, latency = Percentiles.of(delivery.ack_ns), Percentiles.of(intake.latency_ns)
        mean = self.published / (wall_ns / SECOND) if wall_ns else None
        return {
            "run_id": self.run_id,
            "events": self.published,
            "by_subject": {
                shown: self.by_subject[subject] for subject, shown in zip(SUBJECTS, self.subjects, strict=True)
            },
            "read": intake.received,
            "received": intake.received,
            "published": self.published,
            "acked": self.acked,
            "duplicates": self.doubles,
            "queued": self.queued,
            "rejected": sum(intake.rejected.values()),
            "rejected_by_reason": dict(intake.rejected),
            "noted": dict(intake.noted),
            "late": 0,
            "reordered": delivery.reordered,
            "dropped": self.dropped,
            "gaps": self.gaps.count,
            "gap_records": self.by_subject[_GAPS],
            "open_gaps": sorted(self.gaps.open_now),
            "notes": [{"ns": note.ns, "text": note.text} for note in self.notes],
            "backfilled": self.backfilled,
            "unfilled": self._filler.unfilled if self._filler is not None else 0,
            "unresolved": 0,
            "resent": delivery.resent,
            "refusals": dict(delivery.refusals),
            "reconnects": delivery.reconnects,
            "feed_reconnects": {market: feed.reconnects for market, feed in self.feeds.items()},
            "refused": sorted(self.refused),
            "missing": sorted(topic for feed in self.feeds.values() for topic in feed.missing),
            "started_ns": self.started_ns or None,
            "started_utc": utc_text(self.started_ns) if self.started_ns else None,
            "ended_ns": self.ended_ns or None,
            "ended_utc": utc_text(self.ended_ns) if self.ended_ns else None,
            "wall_s": wall_ns / SECOND,
            "event_s": wall_ns / SECOND,
            "quiet_skipped_s": 0.0,
            "stalls": 0,
            "stalled_s": 0.0,
            "speed_asked": 1.0,
            "speed_achieved": 1.0 if wall_ns else None,
            "events_per_s": mean,
            "bytes": delivery.payload_bytes,
            "latency_ms": {"p50": latency.p50, "p99": latency.p99} if latency else None,
            "ack_ms": {"p50": ack.p50, "p99": ack.p99} if ack else None,
            "acknowledged": self._sink.protocol,
            "expiry": str(self.window.manager.expiry),
            "strike_range": self.window.manager.strike_range,
            "centre": self.window.manager.centre,
            "stream": stream,
            "first_seq": delivery.first_seq,
            "last_seq": delivery.last_seq,
            "digest": None,
            "resumed_at": None,
            "complete": self.stopped_by in ("Ctrl-C", "SIGTERM", "--for") and not self.queued,
            "stopped_by": self.stopped_by,
        }

    def exit_code(self) -> ExitCode:
        """Return what the process ends with: 3 where anything is missing."""
        if self.stopped_by == "Ctrl-C":
            return ExitCode.INTERRUPTED
        if self.stopped_by == "SIGTERM":
            return ExitCode.TERMINATED
        delivery = self.delivery
        missing = self.intake.rejected or self.dropped or self.gaps.count or delivery.reordered or self.refused
        missing = missing or any(feed.missing for feed in self.feeds.values())
        return ExitCode.INCOMPLETE if missing or delivery.published != delivery.acked else ExitCode.OK
