"""The Python API for programs that embed spyctl; no logic of its own."""

import asyncio
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

from spyctl.bus.acks.per_message import Windowed
from spyctl.bus.connection import Connection, connect
from spyctl.bus.publisher import Publisher
from spyctl.bus.reconcile import settle
from spyctl.bus.runs import RunRecord, Runs, new_run_id
from spyctl.bus.stream import ensure_stream
from spyctl.dbn.normalize import Selection
from spyctl.errors import NoDataError, UsageError
from spyctl.live.session import Live, LiveOptions
from spyctl.live.strike_manager import StrikeManager
from spyctl.market.encode import encoded_events
from spyctl.market.events import Event
from spyctl.market.subjects import STREAM, SUBJECTS, encode, rank_of, subject_of
from spyctl.massive.feed import FEED_URL, Feed
from spyctl.massive.normalize import OPTIONS, STOCKS, LiveEvent, from_model
from spyctl.replay.player import REPLAYED_SUBJECTS, Replay, ReplayOptions
from spyctl.replay.source import DBNIngestor, holding
from spyctl.timing.clock import Speed
from spyctl.timing.instants import MAX_INSTANT, day_number
from spyctl.timing.tasks import end_task


class NATSBus:
    """Acknowledged publishing onto the stream ``MARKET_DATA``.

    ``servers`` is one URL or several. Use :meth:`connect` first and :meth:`close` last, or ``async with``.
    """

    def __init__(self, servers: str | Sequence[str]) -> None:
        self.servers = (servers,) if isinstance(servers, str) else tuple(servers)
        self._connection: Connection | None = None
        self._publisher: Publisher | None = None

    @property
    def connection(self) -> Connection:
        """The connection of this bus. Raises :class:`UsageError` before :meth:`connect`."""
        if self._connection is None:
            raise UsageError("the bus is not connected", "await bus.connect() first")
        return self._connection

    @property
    def publisher(self) -> Publisher:
        """The one publisher of this bus. Raises :class:`UsageError` before :meth:`connect`."""
        if self._publisher is None:
            raise UsageError("the bus is not connected", "await bus.connect() first")
        return self._publisher

    async def connect(self) -> None:
        """Connect and see to the stream.

        Raises :class:`UnreachableError`, :class:`NoJetStreamError`, :class:`UnfitStreamError`.
        """
        self._connection = await connect(self.servers)
        await self._connection.jetstream_info()
        stream = await ensure_stream(self._connection)
        protocol = Windowed(self._connection, stream, SUBJECTS)
        self._publisher = Publisher(protocol, f"{new_run_id()}{time.time_ns():x}", anchor=(0, stream.last_seq))
        await self._publisher.open()

    async def publish(self, subject: str, event: Event) -> None:
        """Send an event on a subject (``subject_of(event)`` names its own); waits while too many are unacknowledged.

        Raises :class:`UsageError` where the subject is not the event's own, :class:`RefusedError`,
        :class:`UnreachableError`.
        """
        if subject != subject_of(event):
            raise UsageError(f"a {type(event).__name__} belongs on {subject_of(event)}, not on {subject}")
        await self.publisher.publish(encoded_events([encode(event)], [rank_of(subject)]))

    async def close(self) -> None:
        """Wait until all is acknowledged, then disconnect."""
        if self._connection is None:
            return
        try:
            await self.publisher.drain()
        finally:
            await self.publisher.close()
            await self._connection.close()
            self._connection = self._publisher = None

    async def __aenter__(self) -> "NATSBus":
        await self.connect()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()


class StreamIngestor:
    """Takes in the live feeds and publishes them through a connected :class:`NATSBus`.

    ``strike_manager`` decides the option contracts; without an expiry of its own it follows the trading calendar.
    ``queue`` also receives each event; it is deprecated: read the stream instead.
    """

    def __init__(
        self,
        api_key: str,
        bus: NATSBus,
        strike_manager: StrikeManager,
        queue: "asyncio.Queue[LiveEvent] | None" = None,
        *,
        feed_url: str = FEED_URL,
    ) -> None:
        if queue is not None:
            warnings.warn("StreamIngestor(queue=…) is deprecated: read the stream", DeprecationWarning, stacklevel=2)
        publisher, connection = bus.publisher, bus.connection
        self._api_key = api_key
        self._feed_url = feed_url
        self._running = False
        options = LiveOptions(symbol=strike_manager.underlying, expiry=strike_manager.expiry)
        observer = queue.put_nowait if queue is not None else None  # a full one misses events, the stream does not
        self._live = Live(
            publisher, strike_manager, options, run_id=publisher.run_id, observer=observer,
            connected=lambda: connection.connected,
        )  # fmt: skip

    async def run_async(self) -> None:
        """Take in both feeds until :meth:`stop`.

        Raises :class:`KeyRefusedError` where the key is refused, and what :meth:`NATSBus.publish` raises.
        """
        feeds = [Feed(market, self._api_key, self._live, url=self._feed_url) for market in (STOCKS, OPTIONS)]
        self._running = True
        try:
            await self._live.run(feeds)
        finally:
            self._running = False

    def stop(self) -> None:
        """End :meth:`run_async`, which returns when all is acknowledged."""
        self._live.stop("stop()")

    async def handle_msg_async(self, msgs: Sequence[object]) -> None:
        """Publish option messages: as on the wire, or as the client library parsed them."""
        await self._handle(msgs, OPTIONS)

    async def handle_stock_msg_async(self, msgs: Sequence[object]) -> None:
        """Publish stock messages, likewise."""
        await self._handle(msgs, STOCKS)

    def update_subs(self, add: Sequence[str], remove: Sequence[str]) -> None:
        """Hold some option topics (``T.O:SPY…``) whatever the window does, and others no more."""
        self._live.window.pin(add, remove, time.monotonic_ns())

    def summary(self) -> dict[str, Any]:
        """Return the counts so far, with the keys of a live summary."""
        return self._live.summary()

    async def _handle(self, msgs: Sequence[object], market: str) -> None:
        self._live.messages([from_model(message) for message in msgs], market, time.time_ns())
        if not self._running:
            await self._live.publish_waiting()


@dataclass(slots=True)
class ReplayStats:
    """What a :class:`ReplayPublisher` has played so far."""

    events: int = 0
    trades: int = 0
    mbp10: int = 0
    late: int = 0
    event_s: float = 0.0
    wall_s: float = 0.0

    def actual_speed(self) -> float | None:
        """Return event time played per wall time used, ``None`` before there is any."""
        return self.event_s / self.wall_s if self.wall_s > 0 else None


class ReplayPublisher:
    """Replays days of a :class:`DBNIngestor` onto a connected :class:`NATSBus`.

    Raises :class:`UsageError` for a speed below 0; 0 is as fast as acknowledged.
    """

    def __init__(self, bus: NATSBus, dbn_ingestor: DBNIngestor, replay_speed: float = 1.0) -> None:
        self.bus = bus
        self.dbn_ingestor = dbn_ingestor
        self.replay_speed = Speed.of(replay_speed).number
        self.stats = ReplayStats()

    async def replay_date(
        self,
        date: date,
        start_ns: int | None = None,
        end_ns: int | None = None,
        include_trades: bool = True,
        include_mbp10: bool = True,
    ) -> ReplayStats:
        """Replay one UTC day with ``start_ns <= sort time < end_ns``; returns when all is acknowledged.

        Raises :class:`NoDataError`, :class:`StreamBusyError` where another replay runs, what
        :meth:`NATSBus.publish` raises, and :class:`DamagedFileError` after the
        last event that is whole.
        """
        schemas = [name for name, wanted in (("trades", include_trades), ("mbp-10", include_mbp10)) if wanted]
        return await self._replay([date], start_ns, end_ns, schemas)

    async def replay_continuous(
        self, dates: Sequence[date], start_ns: int | None = None, end_ns: int | None = None
    ) -> ReplayStats:
        """Replay several days as one input; otherwise like :meth:`replay_date`."""
        return await self._replay(dates, start_ns, end_ns, ["trades", "mbp-10"])

    async def _replay(
        self, dates: Sequence[date], start_ns: int | None, end_ns: int | None, schemas: Sequence[str]
    ) -> ReplayStats:
        catalog = self.dbn_ingestor.discover_files()
        found = [info for day in dates for info in holding([one for one in catalog if one.schema in schemas], day)]
        if not found:
            raise NoDataError(f"no {' or '.join(schemas)} data for these dates in {self.dbn_ingestor.root}")
        selection = Selection(
            start_ns=start_ns or 0,
            end_ns=MAX_INSTANT if end_ns is None else end_ns,
            days=frozenset(map(day_number, dates)),
        )
        options = ReplayOptions(Speed.of(self.replay_speed), selection, digest=False)
        publisher = self.bus.publisher
        infos = list({info.path: info for info in found}.values())
        replay = Replay(infos, publisher, options, run_id=publisher.run_id)
        connection = self.bus.connection
        runs = await Runs.open(connection, partial(settle, connection))
        record = RunRecord(
            f"{new_run_id()}{time.time_ns():x}",
            "api",
            STREAM,
            list(REPLAYED_SUBJECTS),
            [],
            {},
            started_ns=time.time_ns(),
        )
        run = await runs.begin(record)  # nobody else publishes to these subjects meanwhile
        keeper = asyncio.create_task(run.keep(publisher.checkpoint))
        try:
            await replay.run()
        finally:
            await end_task(keeper)
            await run.end("complete", publisher.checkpoint(), settled=publisher.in_flight == 0)
            trades, mbp10 = (replay.progress.by_subject[subject] for subject in replay.subjects)
            stats = self.stats
            stats.trades += trades
            stats.mbp10 += mbp10
            stats.events += trades + mbp10
            stats.late += replay.progress.late
            stats.event_s += replay.pace.event_ns / 1e9
            stats.wall_s += max(0, replay.pace.clock_ns) / 1e9
        if replay.reading.damage:
            raise replay.reading.damage[0]
        return self.stats
