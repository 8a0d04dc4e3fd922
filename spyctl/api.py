"""The Python API for programs that embed spyctl; no logic of its own."""

import asyncio
import os
import time
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from spyctl.bus.access import Access
from spyctl.bus.acks.mode import AckMode
from spyctl.bus.acks.per_message import PerMessage
from spyctl.bus.checkpoint import Checkpoint
from spyctl.bus.connection import Connection, connect
from spyctl.bus.embedded import Store, default_store
from spyctl.bus.leases import KEY_CLAIM
from spyctl.bus.publisher import Publisher
from spyctl.bus.publishing import Publishing, RunRequest, publishing
from spyctl.bus.runs import RunState, new_run_id
from spyctl.bus.stream import ensure_stream
from spyctl.bus.target import owner_access
from spyctl.dbn.choice import files_for_days
from spyctl.dbn.sort_times import Selection
from spyctl.errors import LostEventsError, NoDataError, UsageError
from spyctl.live.aggressors import QuoteUse
from spyctl.live.feed_policy import equity_policies, index_policy
from spyctl.live.queue_sink import QueueSink
from spyctl.live.result import summary_of
from spyctl.live.session import SUBJECTS as LIVE_SUBJECTS
from spyctl.live.session import Hooks, LiveOptions, LiveSession
from spyctl.live.strike_manager import StrikeManager
from spyctl.live.strike_window import StrikeWindow
from spyctl.live.windows import Windows
from spyctl.market.encode import encoded_events
from spyctl.market.events import MBP10, Event, EventSource, FuturesTrade
from spyctl.market.feeds import LiveEvent
from spyctl.market.sessions import in_regular_hours
from spyctl.market.subjects import SUBJECTS, encode, rank_of, subject_of, subject_table, with_prefix
from spyctl.massive.feed import FEED_URL, Feed
from spyctl.massive.key_hash import key_hash
from spyctl.massive.normalize import INDICES, OPTIONS, STOCKS, from_model, normalize
from spyctl.replay.control import Control
from spyctl.replay.file_source import FileSource
from spyctl.replay.pacing import MAX_QUIET_NS
from spyctl.replay.pieces import Source
from spyctl.replay.player import Surroundings
from spyctl.replay.result import end_state
from spyctl.replay.session import Replay, ReplayOptions, leased_for
from spyctl.replay.source import Day, DBNIngestor, as_date
from spyctl.replay.tape_plan import make_tape_plan
from spyctl.replay.tapes.catalog import scan_tapes
from spyctl.replay.tapes.order import Choice
from spyctl.replay.targets import Span
from spyctl.replay.volume import Pace
from spyctl.summary import StopReason
from spyctl.timing.clock import MAX_SPEED, Speed
from spyctl.timing.instants import MAX_INSTANT, day_number

_DEFAULT_URL = "nats://localhost:4222"


class NATSBus:
    """Acknowledged publishing onto the stream ``MARKET_DATA``, and subscriptions to it.

    ``servers`` is one URL or several, ``None`` the server of this machine. Use :meth:`connect` first and :meth:`close`
    last, or ``async with``.
    """

    def __init__(self, servers: str | Sequence[str] | None = None) -> None:
        servers = _DEFAULT_URL if servers is None else servers
        self.servers = (servers,) if isinstance(servers, str) else tuple(servers)
        self._connection: Connection | None = None
        self._publisher: Publisher | None = None
        self._before_close: list[Callable[[], Awaitable[None]]] = []

    @property
    def connection(self) -> Connection:
        """The connection of this bus. Raises :class:`UsageError` before :meth:`connect`."""
        if self._connection is None:
            raise UsageError("the bus is not connected", "await bus.connect() first")
        return self._connection

    async def connect(self) -> None:
        """Connect and see to the stream.

        Raises :class:`UnreachableError`, :class:`NoJetStreamError`, :class:`UnfitStreamError`.
        """
        store = Store(Path(os.environ.get("SPYCTL_STORE") or default_store()))
        self._connection = await connect(self.servers, access=owner_access(self.servers, Access(), store))
        await self._connection.jetstream_info()
        stream = await ensure_stream(self._connection)
        protocol = PerMessage(self._connection, stream, subject_table())
        # No record proves this id unique, and the server drops what it takes for a retry.
        run_id = f"{new_run_id()}{time.time_ns():x}"
        self._publisher = Publisher(protocol, run_id, anchor=Checkpoint(0, stream.last_seq))
        await self._publisher.open()

    async def publish(self, subject: str, event: Event | Mapping[str, Any]) -> None:
        """Send an event, or a document of its fields, on its subject; waits while too many are unacknowledged.

        Raises :class:`UsageError` before :meth:`connect`, where the subject is not the event's own or not one of ours,
        and for what is not JSON; :class:`RefusedError`, :class:`UnreachableError`.
        """
        if self._publisher is None:
            raise UsageError("the bus is not connected", "await bus.connect() first")
        if isinstance(event, Mapping):
            if subject not in SUBJECTS:
                raise UsageError(f"{subject} is not a subject of ours", f"one of {', '.join(SUBJECTS)}")
            payload = _json(event)
        elif subject != subject_of(event):
            raise UsageError(f"a {type(event).__name__} belongs on {subject_of(event)}, not on {subject}")
        else:
            payload = encode(event)
        await self._publisher.publish(encoded_events([payload], [rank_of(subject)]))

    async def subscribe(
        self, subject: str, callback: Callable[[dict[str, Any]], Awaitable[None]]
    ) -> Callable[[], Awaitable[None]]:
        """Call ``callback`` with each event that is published on a subject (``market.futures.*`` and ``market.>`` too)
        from now on, as a document; returns a function that ends that.

        What is not JSON is passed over. Raises :class:`UsageError` before :meth:`connect`, :class:`UnreachableError`.
        """

        async def received(message: Any) -> None:
            try:
                document = orjson.loads(message.data)
            except orjson.JSONDecodeError:
                return
            await callback(document)

        return await self.connection.subscribe(subject, received)

    def before_close(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Have something ended before the connection is."""
        self._before_close.append(callback)

    async def close(self) -> None:
        """Wait until all is acknowledged, then disconnect."""
        if self._connection is None or self._publisher is None:
            return
        try:
            for callback in self._before_close:
                await callback()
            await self._publisher.drain()
        finally:
            await self._publisher.close()
            await self._connection.close()
            self._connection = self._publisher = None

    async def __aenter__(self) -> "NATSBus":
        await self.connect()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()


def _json(document: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(document)
    except TypeError as error:
        raise UsageError(f"not a JSON document: {error}") from None


class StreamIngestor:
    """Takes in the live feeds and publishes them through a connected :class:`NATSBus`, as a run of its own.

    ``strike_manager`` decides the option contracts; without an expiry of its own it follows the trading calendar.
    ``option_quotes`` tells the side of option trades by the quotes of their contracts, where the plan has them.
    ``queue`` also receives each event that is published, and is waited for while it is full; it is deprecated: read the
    stream instead. The run begins with the first message
    or :meth:`run_async`; it ends with :meth:`run_async`, else with the bus.
    """

    def __init__(
        self,
        api_key: str,
        bus: NATSBus,
        strike_manager: StrikeManager,
        queue: "asyncio.Queue[LiveEvent] | None" = None,
        *,
        feed_url: str = FEED_URL,
        option_quotes: bool = True,
    ) -> None:
        if queue is not None:
            warnings.warn("StreamIngestor(queue=…) is deprecated: read the stream", DeprecationWarning, stacklevel=2)
        self._claims = [KEY_CLAIM + key_hash(api_key)] if api_key else []
        self._feed = partial(Feed, api_key=api_key, url=feed_url)
        self._bus = bus
        self._queue = queue
        self._quotes = QuoteUse.CLASSIFY if option_quotes else QuoteUse.NONE
        self._windows = Windows([StrikeWindow(strike_manager, time.time_ns(), strike_manager.expiry)])
        self._queued: QueueSink | None = None
        self._session: LiveSession | None = None
        self._run: Publishing | None = None
        self._running = self._stopping = False
        self._beginning = asyncio.Lock()
        self._stack = AsyncExitStack()
        bus.before_close(self._stack.aclose)

    async def run_async(self) -> None:
        """Take in both feeds until :meth:`stop`; may be called again afterwards.

        Raises :class:`UsageError` while it runs already, :class:`KeyRefusedError` where the key is refused,
        :class:`StreamBusyError` where another run publishes the same, :class:`LostEventsError` where the stream does
        not hold what it has acknowledged, and what :meth:`NATSBus.publish` raises.
        """
        if self._running:
            raise UsageError("this ingestor is running already", "stop() it first, or make another one")
        self._running = True
        try:
            await self._run_once()
        finally:
            self._running = self._stopping = False

    async def _run_once(self) -> None:
        run, session = await self._begin()
        if self._stopping:
            session.stop(StopReason.STOP_CALL)
        policies = [*equity_policies(
            self._feed(STOCKS), self._feed(OPTIONS), self._windows, suspicious=in_regular_hours,
            quotes=lambda: session.uses_option_quotes,
        )]  # fmt: skip
        if self._windows.indices:
            policies.append(index_policy(self._feed(INDICES), self._windows))
        try:
            await run.watch(session.run(policies), partial(session.stop, StopReason.LEASE_LOST))
            _refuse_loss(run)
        except Exception:
            run.state = RunState.FAILED
            raise
        finally:
            await self._stack.aclose()

    def stop(self) -> None:
        """End :meth:`run_async`, or the next one, which returns when all is acknowledged."""
        self._stopping = True
        if self._running and self._session is not None:
            self._session.stop(StopReason.STOP_CALL)
            if self._queued is not None:
                self._queued.stop()

    async def handle_msg_async(self, msgs: Sequence[object]) -> None:
        """Publish option messages: as on the wire, or as the client library parsed them."""
        await self._handle(msgs, OPTIONS)

    async def handle_stock_msg_async(self, msgs: Sequence[object]) -> None:
        """Publish stock messages, likewise."""
        await self._handle(msgs, STOCKS)

    def update_subs(self, add: Sequence[str], remove: Sequence[str]) -> None:
        """Hold some option topics (``T.O:SPY…``) whatever the window does, and others no more."""
        self._windows.pin(add, remove, time.monotonic_ns())

    def summary(self) -> dict[str, Any]:
        """Return the counts of the run so far, with the keys of a live summary.

        Raises :class:`UsageError` before there is a run.
        """
        if self._session is None:
            raise UsageError("nothing has been taken in yet", "await run_async() first")
        return summary_of(self._session).document()

    async def _begin(self) -> tuple[Publishing, LiveSession]:
        async with self._beginning:  # the first messages of both markets may come together
            return await self._begun()

    async def _begun(self) -> tuple[Publishing, LiveSession]:
        if self._run is None or self._session is None:
            connection = self._bus.connection
            request = RunRequest(
                command="live", leased=LIVE_SUBJECTS[:-1], claims=self._claims, ack_mode=AckMode.MESSAGE
            )
            run = await self._stack.enter_async_context(publishing(connection, request))
            self._stack.callback(self._ended)
            self._queued = QueueSink(run.publisher, self._queue) if self._queue is not None else None
            options = LiveOptions(quotes=self._quotes)
            self._session = LiveSession(
                self._queued or run.publisher, self._windows, options, run_id=run.run_id,
                hooks=Hooks(connected=lambda: connection.connected),
            )  # fmt: skip
            self._run = run
        return self._run, self._session

    def _ended(self) -> None:
        self._run = None

    async def _handle(self, msgs: Sequence[object], market: str) -> None:
        _, session = await self._begin()
        messages = [from_model(message) for message in msgs]
        parsed = normalize(messages, market, time.time_ns(), EventSource.POLYGON_WS)
        session.arrived(parsed.arrival(market, time.monotonic_ns()))
        if not self._running:
            session.intake.flush()  # nobody looks later
            await session.sender.send_waiting()


def _refuse_loss(run: Publishing) -> None:
    if run.holdings is not None and run.holdings.lost:
        raise LostEventsError(run.holdings.sentence)


class ReplayStats:
    """What one call of a :class:`ReplayPublisher` has played so far; it moves while the call runs."""

    def __init__(self) -> None:
        self._replay: Replay | None = None

    def follow(self, replay: Replay) -> None:
        """Tell from now on what a replay has played."""
        self._replay = replay

    @property
    def trades(self) -> int:
        """Trades of futures published."""
        return self._count(FuturesTrade)

    @property
    def mbp10(self) -> int:
        """Books published."""
        return self._count(MBP10)

    @property
    def events(self) -> int:
        """Events published."""
        return sum(self._replay.progress.by_subject[name] for name in self._replay.subjects) if self._replay else 0

    @property
    def late(self) -> int:
        """Events published whose ``ts_event`` lies outside the reorder window."""
        return self._replay.progress.late if self._replay is not None else 0

    @property
    def event_s(self) -> float:
        """Event time played, without shortened quiet stretches."""
        return self._replay.pace.event_ns / 1e9 if self._replay is not None else 0.0

    @property
    def wall_s(self) -> float:
        """Wall time used for it."""
        return max(0, self._replay.pace.clock_ns) / 1e9 if self._replay is not None else 0.0

    def actual_speed(self) -> float:
        """Return event time played per wall time used, 0 before there is any."""
        return self.event_s / self.wall_s if self.wall_s > 0 else 0.0

    def _count(self, event_type: type[Event]) -> int:
        if self._replay is None:
            return 0
        return self._replay.progress.by_subject[with_prefix(subject_of(event_type), self._replay.options.prefix)]


class ReplayPublisher:
    """Replays days of a :class:`DBNIngestor` onto a connected :class:`NATSBus`.

    ``stats`` are those of the newest call, ``control`` tells it what to do while it plays: ``await
    publisher.control.pause()``. Raises :class:`UsageError` for a speed below 0; 0 is as fast as
    acknowledged.
    """

    def __init__(self, bus: NATSBus, dbn_ingestor: DBNIngestor, replay_speed: float = 1.0) -> None:
        self.bus = bus
        self.dbn_ingestor = dbn_ingestor
        self.replay_speed = Speed.of(replay_speed).number
        self.stats = ReplayStats()
        self.control = Control()

    async def replay_date(
        self,
        date: Day,
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
        self, dates: Sequence[Day] | None = None, start_ns: int | None = None, end_ns: int | None = None
    ) -> ReplayStats:
        """Replay several days as one input, ``None`` for all; otherwise like :meth:`replay_date`."""
        return await self._replay(dates, start_ns, end_ns, ["trades", "mbp-10"])

    async def _replay(
        self, dates: Sequence[Day] | None, start_ns: int | None, end_ns: int | None, schemas: Sequence[str]
    ) -> ReplayStats:
        root = self.dbn_ingestor.root
        days = frozenset(map(as_date, dates)) if dates is not None else None
        found = [info for info in self.dbn_ingestor.discover_files() if info.schema in schemas]
        infos = files_for_days([info for info in found if days is None or any(map(info.covers, days))], root)
        if not infos:
            raise NoDataError(f"no {' or '.join(schemas)} data for these dates in {root}")
        selection = Selection(
            start_ns=start_ns or 0,
            end_ns=MAX_INSTANT if end_ns is None else end_ns,
            days=frozenset(map(day_number, days)) if days is not None else None,
        )
        return await self._play(FileSource(tuple(infos), selection), selection, None)

    async def replay_tapes(
        self, tapes: Path | str, start_ns: int | None = None, end_ns: int | None = None
    ) -> ReplayStats:
        """Replay a tape, or a folder of them, with ``start_ns <= sort time < end_ns``; otherwise like
        :meth:`replay_date`."""
        infos = scan_tapes(Path(tapes))
        if not infos:
            raise NoDataError(f"{tapes} is not a tape and holds none")
        choice = Choice(start_ns=start_ns or 0, end_ns=MAX_INSTANT if end_ns is None else end_ns)
        pace = Pace(Speed.of(self.replay_speed), MAX_QUIET_NS)
        plan = make_tape_plan(infos, choice, pace, what=str(tapes), origin="api")
        return await self._play(plan.source, plan.selection, plan.span)

    async def _play(self, source: Source, selection: Selection, span: Span | None) -> ReplayStats:
        paced = Speed.of(self.replay_speed) != MAX_SPEED
        request = RunRequest(command="api", leased=leased_for(source), paced=paced)
        self.stats = ReplayStats()
        async with publishing(self.bus.connection, request) as run:
            await run.prepare()
            options = ReplayOptions(Speed.of(self.replay_speed), selection, digest=False, span=span)
            around = Surroundings(run.note, str)
            replay = Replay(source, run.publisher, options, run_id=run.run_id, around=around, control=self.control)
            self.stats.follow(replay)
            try:
                await run.watch(replay.run(), partial(replay.stop, StopReason.LEASE_LOST))
            finally:
                self.control = Control()
            if replay.reading.damage:
                raise replay.reading.damage[0]
            run.state = end_state(replay.stopped_by)
        return self.stats
