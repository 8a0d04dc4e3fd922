"""Looks at the live side while it runs: takes snapshots, and remembers the spots."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import date

from rich.text import Text

from spyctl.bus.consumers import Consumer
from spyctl.live.screen import LINE_LENGTH, FeedView, LiveSnapshot, progress_line, render
from spyctl.live.session import Live
from spyctl.terminal.process import Usage
from spyctl.timing.histogram import Percentiles
from spyctl.timing.instants import NEW_YORK, SECOND, clock_text
from spyctl.timing.notes import Note


class View:
    """Looks at the live side; :meth:`draw` and :meth:`line` show it as it is now."""

    def __init__(
        self, live: Live, title: str, where: str, stream: str, consumers: Callable[[], Sequence[Consumer]]
    ) -> None:
        self._live = live
        self._consumers = consumers
        self._usage = Usage.now()
        self._title, self._where, self._stream = title, where, stream
        self._history: deque[LiveSnapshot] = deque()
        self._spots: deque[float] = deque(maxlen=LINE_LENGTH)
        self._spot_at_ns = 0

    def draw(self, width: int, height: int, said: Sequence[Note] = ()) -> Text:
        """Draw the live side for a terminal of so many columns and lines, with rates over the last two seconds."""
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
        live, clock_ns, now_ns = self._live, time.monotonic_ns(), time.time_ns()
        window, manager = live.window, live.window.manager
        price = window.spot.price
        if price is not None and clock_ns - self._spot_at_ns >= SECOND:
            self._spot_at_ns = clock_ns
            self._spots.append(price)
        delivery, gap = live.delivery, next(reversed([*live.gaps.recent, *live.gaps.open_now.values()]), None)
        last_gap = ""
        if gap is not None:
            end = gap.to_ns or now_ns
            ended = "closed" if gap.to_ns is not None else "open"
            last_gap = (
                f"{gap.feed} {(end - gap.from_ns) / SECOND:.1f} s at {clock_text(gap.from_ns, NEW_YORK, 0)}, {ended}"
            )
        return LiveSnapshot(
            clock_ns=clock_ns,
            now_ns=now_ns,
            title=self._title,
            where=self._where,
            run_id=live.run_id,
            state=_state(live),
            connected=live.connected,
            feeds=[_feed_view(live, market) for market in live.feeds],
            symbol=live.options.symbol,
            spot=price,
            spot_age_s=(clock_ns - (window.spot.since_ns or clock_ns)) / SECOND,
            spots=tuple(self._spots),
            quote=live.intake.last_quote,
            expiry=manager.expiry or date.min,
            is_0dte=window.is_0dte,
            strike_range=manager.strike_range,
            centre=manager.centre,
            strikes=manager.strikes(),
            added={_strike(topic): (clock_ns - ns) / SECOND for topic, ns in window.added.items()},
            leaving={_strike(topic): (ns - clock_ns) / SECOND for topic, ns in window.leaving.items()},
            prints=dict(live.intake.last_prints),
            counts=dict(live.intake.prints),
            volumes=dict(live.intake.volumes),
            by_subject=dict(live.by_subject),
            received=live.intake.received,
            published=live.published,
            acked=live.acked,
            duplicates=live.doubles,
            rejected=sum(live.intake.rejected.values()),
            dropped=live.dropped,
            queued=live.queued,
            gaps=live.gaps.count,
            last_gap=last_gap,
            latency_ms=Percentiles.of(live.intake.latency_ns),
            ack_ms=Percentiles.of(delivery.ack_ns),
            stream=self._stream,
            last_seq=delivery.last_seq,
            notes=sorted([*live.notes, *said], key=lambda note: note.ns),
            warnings=live.warnings,
            consumers=self._consumers(),
            usage=self._usage.since(),
        )


def _strike(topic: str) -> int:
    return int(topic[-8:]) // 1000


def _state(live: Live) -> str:
    if live.stopped_by:
        return "■ finishing"
    if not live.connected:
        return "◌ NATS is away"
    states = {feed.state for feed in live.feeds.values()}
    if "reconnecting" in states:
        return "◌ reconnecting"
    return "● streaming" if "up" in states and "connecting" not in states else "◌ connecting"


def _feed_view(live: Live, market: str) -> FeedView:
    feed = live.feeds[market]
    now_s = time.monotonic()
    if market == "stocks":
        topics = " ".join(sorted(feed.desired, reverse=True))
    else:
        leaving = len(live.window.leaving)
        expiry = live.window.manager.expiry
        topics = f"O:{live.options.symbol}{expiry:%y%m%d}: {len(live.window.manager.held)}"
        topics += f" + {leaving}" if leaving else ""
    return FeedView(
        market,
        feed.state,
        now_s - feed.up_since_s if feed.state == "up" else 0.0,
        topics,
        len(feed.held & feed.desired),
        len(feed.desired),
        now_s - feed.last_frame_s if feed.last_frame_s else None,
    )
