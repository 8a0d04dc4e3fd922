"""One market's feed at Massive (Polygon), kept up: connection, key, subscriptions, and what its frames hold.

The feed reads its own statuses and hands on what is left of a frame as an :class:`~spyctl.market.feeds.Arrival`.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from spyctl.market.events import EventSource
from spyctl.market.feeds import TRANSITIONS, FeedEvent, FeedListener, FeedState
from spyctl.massive.connection import run_connection
from spyctl.massive.inbox import Frame, Inbox
from spyctl.massive.key_standing import KeyStanding
from spyctl.massive.liveness import ASLEEP_NS, Liveness
from spyctl.massive.normalize import parse_frame
from spyctl.massive.socket import Socket, SocketRequest, VendorSocket
from spyctl.massive.statuses import AUTH_FAILED, EVICTED, Statuses
from spyctl.massive.subscriptions import Subscriptions
from spyctl.timing.backoff import Backoff
from spyctl.timing.clock import Clock, SystemClock
from spyctl.timing.ending import Ending
from spyctl.timing.instants import MINUTE, SECOND
from spyctl.timing.tasks import end_task

FEED_URL, DELAYED_URL = "wss://socket.massive.com", "wss://delayed.massive.com"
DELAY_NS = 15 * MINUTE  # of the delayed feed
_POLICY = 1008  # how the vendor closes a connection too many


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things may take, in seconds.

    ``first_wait`` doubles up to ``longest_wait`` between attempts, give or take the fraction ``jitter``, and starts
    anew after ``stable`` seconds of streaming; ``cool_down`` follows an eviction; a key refused after it was good is
    tried for ``refusals`` more; a process that does nothing for ``asleep`` has slept.
    """

    authenticate: float = 10.0
    acknowledge: float = 5.0
    ask_again: float = 60.0
    first_wait: float = 1.0
    longest_wait: float = 60.0
    jitter: float = 0.25
    stable: float = 10.0
    cool_down: float = 60.0
    max_evictions: int = 3
    refusals: float = 300.0
    ping: float = 10.0
    asleep: float = ASLEEP_NS / SECOND


class Feed:
    """The supervised connection of ``stocks``, ``options`` or ``indices``; a :class:`~spyctl.market.feeds.LiveFeed`."""

    def __init__(
        self,
        market: str,
        api_key: str,
        *,
        url: str = FEED_URL,
        source: EventSource = EventSource.POLYGON_WS,
        timing: Timing | None = None,
        library: str | None = None,
        clock: Clock | None = None,
        open_socket: Callable[[SocketRequest], Socket] = VendorSocket,
    ) -> None:
        timing, clock = timing or Timing(), clock or SystemClock()
        self.name = market
        self.reconnects = 0
        self.refilled = 0  # by REST, not by the feed
        self.liveness = Liveness(clock, round(timing.ping * SECOND), round(timing.asleep * SECOND))
        self._subscriptions = Subscriptions(round(timing.acknowledge * SECOND), round(timing.ask_again * SECOND))
        self._ending = Ending()
        standing = KeyStanding(clock, max_evictions=timing.max_evictions, refusals_ns=round(timing.refusals * SECOND))
        self._statuses = Statuses(market, self._subscriptions, standing, self._ending, self._note)
        self._request = SocketRequest(url, market, api_key, (), timing.ping, timing.authenticate, library)
        self._open_socket = open_socket
        self._source = source
        self._timing = timing
        self._state = FeedState.CONNECTING
        self._inbox = Inbox(self._read)
        self._socket: Socket | None = None
        self._listener: FeedListener

    # --- what it is

    @property
    def words(self) -> str:
        """The vendor's last complaint."""
        return self._statuses.words

    @property
    def state(self) -> FeedState:
        """How it stands."""
        return self._state

    @property
    def desired(self) -> frozenset[str]:
        """The topics that it should hold."""
        return self._subscriptions.desired

    @property
    def held(self) -> frozenset[str]:
        """The topics that the vendor has acknowledged."""
        return self._subscriptions.held

    @property
    def missing(self) -> frozenset[str]:
        """The topics that the vendor does not acknowledge."""
        return self._subscriptions.missing

    def set_desired(self, topics: Collection[str]) -> None:
        """Change what is subscribed, now or as soon as there is a connection."""
        add, remove = self._subscriptions.set_desired(topics)
        if self._socket is not None:
            self._socket.subscribe(add)
            self._socket.unsubscribe(remove)

    def reconnect(self, reason: str) -> None:
        """Drop the connection and make a new one."""
        self._ending.ask(reason)

    def stop(self) -> None:
        """End :meth:`run`."""
        self._ending.stop()

    # --- the supervisor

    async def run(self, listener: FeedListener) -> None:
        """Keep the feed up until :meth:`stop`, and tell ``listener`` what happens.

        Raises :class:`KeyRefusedError` where the key is refused permanently, or another process uses it, and what
        ``listener`` raises.
        """
        self._listener = listener
        self.liveness.begin()
        reader = asyncio.create_task(self._inbox.keep_reading())
        self._ending.watch(reader)
        try:
            await self._keep_up()
            if reader.done():
                reader.result()
        finally:
            await end_task(reader)
        self._on(FeedEvent.STOP)

    async def _keep_up(self) -> None:
        clock, timing = self.liveness.clock, self._timing
        backoff = Backoff(clock, timing)
        while True:
            backoff.connecting()
            noticed_ns, waited = await self._connect_once()
            was_up = self._state is FeedState.UP
            if self._ending.stopping:
                return
            self._subscriptions.disconnected()
            reason = self._ending.take_reason()
            refusal = self._statuses.permanent_refusal(reason)
            if refusal is not None and reason == AUTH_FAILED:
                self._on(FeedEvent.REFUSED)
                raise refusal
            self._lose(reason, noticed_ns, waited)
            if refusal is not None:
                self._on(FeedEvent.REFUSED)
                raise refusal
            self.reconnects += 1
            pause_s = backoff.pause_s(was_up=was_up)
            if reason == EVICTED:
                pause_s = timing.cool_down
            self._note(f"{self.name}: {reason}; connecting again in {pause_s:.1f} s")
            await self._ending.pause(pause_s, clock)

    async def _connect_once(self) -> tuple[int, int]:
        # One connection; returns when its end was noticed (Unix ns), and how many frames had not been read by then.
        socket = self._socket = self._open_socket(replace(self._request, topics=self.desired))
        tender = asyncio.create_task(self._tend(socket))
        self._ending.watch(tender)
        try:
            end, noticed_ns = await run_connection(
                socket, self._receive, self._ending, clock=self.liveness.clock,
                is_up=lambda: self._state is FeedState.UP, authenticate_s=self._timing.authenticate,
            )  # fmt: skip
            if tender.done():
                tender.result()
        finally:
            self._socket = None
            await end_task(tender)
        waited = len(self._inbox)
        self._inbox.read()  # the vendor's own words come before the close frame, which says less
        if end is not None:
            if end.code == _POLICY and not self._ending.asked:
                self._statuses.evicted(end.message or "closed with 1008")
            self._ending.ask(end.reason)
        return noticed_ns, waited

    async def _tend(self, socket: Socket) -> None:
        # Compares the subscriptions with what is desired, several times a second.
        clock = self.liveness.clock
        self.liveness.connecting()
        while True:
            await clock.wait_until(clock.now_ns() + round(self._timing.acknowledge / 10 * SECOND))
            self.liveness.beat()
            if self._state is not FeedState.UP:
                continue
            reminders = self._subscriptions.remind(clock.now_ns())
            socket.repeat(reminders.subscribe, reminders.unsubscribe)
            if missing := self._subscriptions.unexpectedly(reminders.newly_missing):
                topics = ", ".join(sorted(missing)[:5])
                self._note(f"{self.name}: {len(self.missing)} not acknowledged: {topics}")
            self._check_complete()

    def _on(self, event: FeedEvent) -> None:
        self._state = TRANSITIONS[self._state, event]

    def _note(self, text: str) -> None:
        self._listener.note(self.name, text)

    # --- frames

    def _receive(self, payload: str | bytes) -> bool:
        # Called by the socket; returns whether it is to go on.
        if self._state is not FeedState.UP:
            return self._authenticate(payload)
        self._inbox.put(Frame(payload, *self.liveness.frame()))
        return True

    def _authenticate(self, payload: str | bytes) -> bool:
        if self._statuses.authenticate(parse_frame(payload, self.name, 0, self._source).statuses):
            self._on(FeedEvent.AUTHENTICATED)
            self.liveness.up()
            self._ending.wake()
        return not self._ending.asked

    def _read(self, frame: Frame) -> None:
        parsed = parse_frame(frame.payload, self.name, frame.ts_recv_ns, self._source)
        for status in parsed.statuses:
            self._statuses.take(status)
        self._check_complete()
        if parsed.events or parsed.rejects or parsed.values:
            self._listener.arrived(parsed.arrival(self.name, frame.clock_ns))

    def _lose(self, reason: str, noticed_ns: int, waited: int) -> None:
        self._on(FeedEvent.LOST)
        if not self.liveness.lost:
            self.liveness.lost = True
            self._listener.lost(self.name, self.liveness.lost_from(noticed_ns), reason, waited)

    def _check_complete(self) -> None:
        if self.liveness.lost and self._state is FeedState.UP and self._subscriptions.complete:
            self.liveness.lost = False
            self._listener.back(self.name, self.liveness.clock.time_ns())
