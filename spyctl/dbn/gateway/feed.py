"""The futures feed: Databento's live gateway, kept up, with what a lost connection left out sent again.

A session that follows another asks for everything from the last record on (:mod:`spyctl.dbn.gateway.places`), so that
what was missed comes before what is live, in its order. What the gateway does not send again is counted
(:mod:`spyctl.dbn.gateway.refill`) and stays a gap.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from spyctl.dbn.gateway.connection import Address, ConnectionEnd, GatewayConnection, Room, keep
from spyctl.dbn.gateway.hole import EarlierRun, Hole
from spyctl.dbn.gateway.intake import Intake
from spyctl.dbn.gateway.liveness import Liveness
from spyctl.dbn.gateway.pace import Pace
from spyctl.dbn.gateway.protocol import Login, Stage
from spyctl.dbn.gateway.session import GatewaySession
from spyctl.dbn.gateway.standing import Standing
from spyctl.dbn.gateway.topics import Topics, topics_of
from spyctl.dbn.messages import ErrorKind, GatewayFault, error_kind
from spyctl.dbn.records import Piece
from spyctl.market.events import EventSource
from spyctl.market.feeds import TRANSITIONS, FeedEvent, FeedListener, FeedState
from spyctl.timing.backoff import Backoff
from spyctl.timing.clock import Clock, SystemClock
from spyctl.timing.ending import Ending
from spyctl.timing.instants import SECOND

FUTURES = "futures"
FRONT = "ES.c.0"


@dataclass(frozen=True, slots=True)
class GatewayTiming:
    """How long things may take, in seconds.

    ``heartbeat`` is how often the gateway says something, asked for in whole seconds; a link is dead when nothing came
    for ``grace`` longer. ``first_wait`` doubles up to ``longest_wait`` between attempts, give or take the fraction
    ``jitter``, and starts anew after ``stable`` seconds of streaming; ``cool_down`` follows a connection too many, and
    is the least time between two reconnects for being slow. A key refused after it was good is tried for ``refusals``.
    """

    authenticate: float = 10.0
    heartbeat: float = 10.0
    grace: float = 10.0
    first_wait: float = 1.0
    longest_wait: float = 60.0
    jitter: float = 0.25
    stable: float = 10.0
    cool_down: float = 60.0
    refusals: float = 300.0


class FuturesFeed:
    """The supervised session for some symbols; a :class:`~spyctl.market.feeds.LiveFeed` named ``futures``.

    ``refilled`` counts the events that reconnects have brought after all; before more of them is read, ``room`` is
    awaited. The hole behind an ``earlier`` run is one like those behind lost connections.
    """

    def __init__(
        self,
        api_key: str,
        symbols: Sequence[str] = (FRONT,),
        *,
        address: Address | None = None,
        source: EventSource = EventSource.DATABENTO_LIVE,
        timing: GatewayTiming | None = None,
        clock: Clock | None = None,
        room: Room | None = None,
        earlier: EarlierRun | None = None,
    ) -> None:
        self.name = FUTURES
        self.reconnects = 0
        self.refilled = 0
        self.liveness = Liveness(clock or SystemClock())
        self._timing = timing = timing or GatewayTiming()
        self._topics = Topics(topics_of(symbols))
        limits = round(timing.refusals * SECOND), round(timing.cool_down * SECOND)
        self._standing = Standing(self.liveness.clock, *limits)
        self._gateway = address or Address(), Login(api_key, heartbeat_s=max(1, round(timing.heartbeat)))
        self._intake = Intake(self.name, source, self._note, earlier.identities if earlier is not None else ())
        self._ending = Ending()
        self._state = FeedState.CONNECTING
        self._hole = Hole.behind(earlier)
        self._session: GatewaySession | None = None
        self._pace = Pace(room, self._is_refilling, self.liveness.clock)
        self._listener: FeedListener

    @property
    def words(self) -> str:
        """The gateway's last complaint."""
        return self._standing.words

    @property
    def state(self) -> FeedState:
        """How it stands."""
        return self._state

    @property
    def desired(self) -> frozenset[str]:
        """The topics that it should hold."""
        return self._topics.desired

    @property
    def held(self) -> frozenset[str]:
        """The topics that the gateway has acknowledged."""
        return self._topics.held

    @property
    def missing(self) -> frozenset[str]:
        """The topics whose symbol the gateway does not know."""
        return self._topics.missing

    def set_desired(self, topics: Collection[str]) -> None:
        """Change what is subscribed, by a new session: what is added to one that runs is not sent again."""
        self._topics.desired = frozenset(topics)
        if self._is_up:
            self._ending.ask("other symbols")

    def reconnect(self, reason: str) -> None:
        """Drop the connection and make a new one."""
        self._ending.ask(reason)

    def stop(self) -> None:
        """End :meth:`run`."""
        self._ending.stop()

    # --- the supervisor

    async def run(self, listener: FeedListener) -> None:
        """Keep the feed up until :meth:`stop`, and tell ``listener`` what happens.

        Raises :class:`KeyRefusedError` where the key is refused permanently, :class:`UnknownFuturesError` where the
        gateway knows none of the symbols, and what ``listener`` raises about an arrival.
        """
        self._listener = listener
        self.liveness.begin()
        if self._hole.earlier is not None:
            listener.lost(self.name, self._hole.earlier.ended_ns, "restart", 0)
        timing, clock = self._timing, self.liveness.clock
        backoff = Backoff(clock, timing)
        while True:
            backoff.connecting()
            end = await self._connect_once()
            if self._ending.stopping:
                break
            if end is not None and end.refused:
                self._standing.refused(GatewayFault(error_kind(end.reason), end.reason))
            reason = self._ending.take_reason() or (end.reason if end is not None else "")
            was_up = self._is_up
            self._lose(reason)
            if self._standing.refusal is not None:
                self._on(FeedEvent.REFUSED)
                raise self._standing.refusal
            self.reconnects += 1
            pause_s = backoff.pause_s(was_up=was_up)
            if self._standing.take_crowded():
                pause_s = timing.cool_down
            self._note(f"{self.name}: {reason}; connecting again in {pause_s:.1f} s")
            await self._ending.pause(pause_s, clock)
        self._on(FeedEvent.STOP)

    async def _connect_once(self) -> ConnectionEnd | None:
        # One connection; returns how it ended by itself, None where it did not.
        clock, (address, login) = self.liveness.clock, self._gateway
        start_ns = self._hole.start_ns(self._intake, self._session, self.liveness.began_ns, clock.time_ns())
        self._session = GatewaySession(login, self._topics, self._intake, start_ns)
        connection = GatewayConnection(address, self._session.protocol, self._pace.wait)
        deadline_ns = clock.now_ns() + round(self._timing.authenticate * SECOND)
        return await keep(
            connection, self._receive, self._heard, self._ending, lambda: self._left_s(deadline_ns),
            lambda: f"the gateway {'has fallen silent' if self._is_up else 'does not answer in time'}",
        )  # fmt: skip

    @property
    def _is_up(self) -> bool:
        return self._state is FeedState.UP

    def _is_refilling(self) -> bool:
        return self._session is not None and self._session.begun and self._session.refilling

    def _left_s(self, deadline_ns: int) -> float:
        # How long we may still wait for whatever must come next; while we read nothing, nothing must.
        if self._pace.waits:
            self.liveness.heard()
        if self._is_up and self.liveness.last_frame_ns is not None:
            patience_s = self._timing.heartbeat + self._timing.grace
            deadline_ns = self.liveness.last_frame_ns + round(patience_s * SECOND)
        return (deadline_ns - self.liveness.clock.now_ns()) / SECOND

    def _on(self, event: FeedEvent) -> None:
        self._state = TRANSITIONS[self._state, event]

    def _note(self, text: str) -> None:
        self._listener.note(self.name, text)

    def _heard(self) -> None:
        self.liveness.heard()
        session = self._session
        if session is not None and not self._is_up and session.protocol.stage is Stage.RECORDS:
            self._on(FeedEvent.AUTHENTICATED)
            self.liveness.up()
            self._ending.wake()

    def _receive(self, piece: Piece) -> bool:
        session = self._session
        if session is None or self._ending.asked:
            return False
        was_refilling, clock = session.refilling, self.liveness.clock
        arrival = session.take(piece, clock.time_ns(), clock.now_ns())
        self.refilled += was_refilling * len(arrival.events)
        if arrival.events or arrival.repeated or arrival.rejects:
            self._standing.accepted()
            self._listener.arrived(arrival)
        for fault in session.take_faults():
            self._complaint(fault, session)
        if session.slow and not self._standing.is_slow_again():
            self._ending.ask(f"we read too slowly: {session.slow}")
        session.slow = ""
        if self._hole.open and not session.refilling and (was_refilling or self._topics.complete):
            self._hole = self._hole.close(self.name, session, self._listener, clock.time_ns())
        return not self._ending.asked

    def _complaint(self, fault: GatewayFault, session: GatewaySession) -> None:
        match fault.kind:
            case ErrorKind.SYMBOL:
                symbols = self._topics.reject(fault.text)
                self._note(f"{self.name}: {fault.text}")
                if not self.desired - self.missing:
                    self._standing.unknown(symbols)
                    self._ending.ask(fault.text)
            case ErrorKind.SKIPPED:
                self._ending.ask(f"the gateway left records out: {fault.text}")
            case ErrorKind.AGED_OUT:
                self._hole.unknown = True
                self._note(f"{self.name}: {fault.text}")
            case ErrorKind.SUBSCRIPTION if session.refilling:
                self._hole.gone = True
                self._ending.ask(fault.text)
            case ErrorKind.KEY | ErrorKind.CONNECTIONS | ErrorKind.SUBSCRIPTION:
                self._standing.refused(fault)
                self._ending.ask(fault.text)
            case ErrorKind.OTHER:
                self._note(f"{self.name}: {fault.text}")

    def _lose(self, reason: str) -> None:
        self._on(FeedEvent.LOST)
        self._topics.disconnected()
        if not self._hole.open:
            self._hole.open = True
            from_ns = self._intake.places.newest_ns
            self._listener.lost(self.name, self.liveness.began_ns if from_ns is None else from_ns, reason, 0)
