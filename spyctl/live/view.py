"""Looks at the live side while it runs: takes snapshots, and remembers the spots."""

import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from datetime import date

from rich.text import Text

from spyctl.bus.consumers import Consumer
from spyctl.live.result import summary_of
from spyctl.live.screen import progress_line, render
from spyctl.live.session import LiveSession
from spyctl.live.snapshot import FeedNow, FuturesNow, LiveScene, LiveSnapshot, SpotNow, TradedNow, WindowNow
from spyctl.live.strike_window import StrikeWindow
from spyctl.live.tape import Tape
from spyctl.live.window_watch import WindowWatch
from spyctl.market.events import MBP10, FuturesTrade, OptionTrade, StockTrade
from spyctl.market.feeds import FeedState, LiveFeed
from spyctl.market.subjects import decode, subject_of
from spyctl.terminal.panels import ServerNow, waiting_text
from spyctl.terminal.prints import Print
from spyctl.terminal.process import Usage
from spyctl.timing.histogram import Recent
from spyctl.timing.instants import NEW_YORK, SECOND, clock_text
from spyctl.timing.notes import Note

_SPOTS = 600  # one a second


class LiveView:
    """Looks at a session; :meth:`draw` and :meth:`line` show it as it is now.

    ``waiting`` returns for how long (ns) the server has stored nothing of what is in flight.
    """

    def __init__(
        self,
        session: LiveSession,
        scene: LiveScene,
        stream: str,
        consumers: Callable[[], Sequence[Consumer]],
        waiting: Callable[[], int] = lambda: 0,
    ) -> None:
        self._session = session
        self._consumers = consumers
        self._waiting = waiting
        self._recent_acks = Recent(session.ledger.delivery.ack_ns)
        self._recent_arrivals = Recent(session.filter.lateness.latency_ns)
        self._usage = Usage.now()
        self._scene, self._stream = scene, stream
        self._history: deque[LiveSnapshot] = deque()
        self._spots: deque[float] = deque(maxlen=_SPOTS)
        self._watch = WindowWatch()
        self._spot_at_ns: int | None = None
        self._range: tuple[float, float] | None = None  # of the spots so far

    def draw(self, width: int, height: int, said: Sequence[Note] = ()) -> Text:
        """Draw the session for a terminal of so many columns and lines, with rates over the last two seconds."""
        started_ns = time.perf_counter_ns()
        current = self.snapshot(said)
        self._history.append(current)
        while current.clock_ns - self._history[0].clock_ns > 2 * SECOND:
            self._history.popleft()
        drawn = render(self._history[0] if len(self._history) > 1 else None, current, width, height)
        self._usage.drawing_ns += time.perf_counter_ns() - started_ns
        return drawn

    def line(self) -> str:
        """Say how it goes."""
        return progress_line(self.snapshot())

    def snapshot(self, said: Sequence[Note] = ()) -> LiveSnapshot:
        """Copy the counters; ``said`` is what the program has said since it has the screen."""
        session, clock_ns, now_ns = self._session, self._session.clock.now_ns(), self._session.clock.time_ns()
        tape, window = session.filter.tape, self._window(clock_ns)
        self._watch.look(window, now_ns)
        return LiveSnapshot(
            clock_ns=clock_ns,
            now_ns=now_ns,
            scene=self._scene,
            state=_state(session, self._waiting()),
            feeds=[self._feed(feed, clock_ns) for feed in session.feeds.values()],
            spot=self._spot(clock_ns),
            window=window,
            traded=self._traded(tape),
            summary=summary_of(session, self._stream),
            last_gap=_last_gap(session, now_ns),
            notes=sorted([*session.notes.recent, *self._watch.notes, *said], key=lambda note: note.ns),
            warnings=session.notes.warnings,
            server=ServerNow(self._consumers(), session.connected, self._waiting(), self._recent_acks.p99_ms(clock_ns)),
            usage=self._usage.since(),
            arrival_now_ms=self._recent_arrivals.p99_ms(clock_ns),
        )

    def _spot(self, clock_ns: int) -> SpotNow:
        window = self._session.windows.first
        spot = window.spot
        if spot.price is not None and (self._spot_at_ns is None or clock_ns - self._spot_at_ns >= SECOND):
            self._spot_at_ns = clock_ns
            self._spots.append(spot.price)
            low, high = self._range or (spot.price, spot.price)
            self._range = min(low, spot.price), max(high, spot.price)
        age_s = (clock_ns - (spot.since_ns or clock_ns)) / SECOND
        quote = self._session.filter.tape.last_quotes.get(window.manager.underlying)
        low, high = self._range or (0.0, 0.0)
        return SpotNow(window.manager.underlying, spot.price, age_s, tuple(self._spots), low, high, quote)

    def _quotes(self) -> dict[str, tuple[float, float]]:
        manager, aggressors = self._session.windows.first.manager, self._session.filter.aggressors
        tickers = [topic.removeprefix("T.") for topic in manager.held]
        quotes = {ticker: aggressors.newest(ticker) for ticker in tickers}
        return {ticker: quote for ticker, quote in quotes.items() if quote is not None}

    def _traded(self, tape: Tape) -> TradedNow:
        trades = (decode(*trade) if isinstance(trade, tuple) else trade for trade in reversed(tape.recent))
        prints: list[Print] = [trade for trade in trades if isinstance(trade, FuturesTrade | OptionTrade | StockTrade)]
        return TradedNow(prints, dict(tape.last_prints), dict(tape.prints), dict(tape.volumes), self._quotes())

    def _futures(self, feed: LiveFeed) -> FuturesNow:
        last = {subject: decode(subject, payload) for subject, payload in self._session.filter.tape.written.items()}
        trade, book = last.get(subject_of(FuturesTrade)), last.get(subject_of(MBP10))
        return FuturesNow(
            trade if isinstance(trade, FuturesTrade) else None, book if isinstance(book, MBP10) else None,
            feed.refilled,
        )  # fmt: skip

    def _window(self, clock_ns: int) -> WindowNow:
        window, manager = self._session.windows.first, self._session.windows.first.manager
        return WindowNow(
            root=manager.root,
            expiry=manager.expiry or date.min,
            is_0dte=window.is_0dte,
            strike_range=manager.strike_range,
            centre=manager.centre,
            strikes=_strikes(manager.held),
            added={_strike(topic): (clock_ns - ns) / SECOND for topic, ns in window.added.items()},
            leaving={_strike(topic): (ns - clock_ns) / SECOND for topic, ns in window.leaving.items()},
            others=self._others(),
        )

    def _feed(self, feed: LiveFeed, clock_ns: int) -> FeedNow:
        return FeedNow(
            feed.name,
            feed.state,
            (clock_ns - (feed.liveness.up_since_ns or clock_ns)) / SECOND if feed.state is FeedState.UP else 0.0,
            self._topics(feed),
            len(feed.held & feed.desired),
            len(feed.desired),
            (clock_ns - feed.liveness.last_frame_ns) / SECOND if feed.liveness.last_frame_ns is not None else None,
            self._futures(feed) if feed.name == "futures" else None,
        )

    def _topics(self, feed: LiveFeed) -> str:
        if not any(topic.startswith("T.O:") for topic in feed.desired) and feed.desired:
            return " ".join(sorted(feed.desired, reverse=True))
        return "  ".join(map(_window_text, self._session.windows.all))

    def _others(self) -> str:
        # The windows that are not drawn in full.
        parts = []
        for window in self._session.windows.all[1:]:
            manager, strikes = window.manager, _strikes(window.manager.held)
            price = f"{window.spot.price:,.2f}" if window.spot.price is not None else "·"
            span = f" {strikes[0]:g} to {strikes[-1]:g}" if strikes else ""
            parts.append(f"{manager.underlying} {price}{span} of {manager.expiry:%d %b}")
        return "   ".join(parts)


def _window_text(window: StrikeWindow) -> str:
    leaving = f" + {len(window.leaving)}" if window.leaving else ""
    return f"O:{window.manager.root}{window.manager.expiry:%y%m%d}: {len(window.manager.held)}{leaving}"


def _strike(topic: str) -> float:
    milli = int(topic[-8:])
    return milli / 1000 if milli % 1000 else milli // 1000


def _strikes(topics: Collection[str]) -> list[float]:
    return sorted(set(map(_strike, topics)))


def _state(session: LiveSession, waiting_ns: int) -> str:
    waiting = waiting_text(waiting_ns) if waiting_ns else ""
    if session.stopped_by:
        return "■ finishing" + (f", {waiting}" if waiting else "")
    if waiting:
        return f"◌ {waiting}"
    if not session.connected:
        return "◌ NATS is away"
    states = {feed.state for feed in session.feeds.values()}
    if FeedState.RECONNECTING in states:
        return "◌ reconnecting"
    return "● streaming" if FeedState.UP in states and FeedState.CONNECTING not in states else "◌ connecting"


def _last_gap(session: LiveSession, now_ns: int) -> str:
    gaps = [*session.gaps.recent, *session.gaps.open_now.values()]
    if not gaps:
        return ""
    gap = gaps[-1]
    length_s = ((gap.to_ns or now_ns) - gap.from_ns) / SECOND
    state = "closed" if gap.to_ns is not None else "open"
    return f"{gap.feed} {length_s:.1f} s at {clock_text(gap.from_ns, NEW_YORK, 0)}, {state}"
