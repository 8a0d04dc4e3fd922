"""Live sessions and feeds that need neither a server nor a vendor."""

from collections.abc import Collection
from dataclasses import dataclass

from spyctl.live.session import Hooks, LiveOptions, LiveSession
from spyctl.live.strike_manager import StrikeManager
from spyctl.live.strike_window import StrikeWindow
from spyctl.live.windows import Windows
from spyctl.market.feeds import FeedListener, FeedState
from spyctl.timing.clock import Clock
from tests.support.clock import FakeClock
from tests.support.sinks import RecordingSink


@dataclass
class StillFeed:
    """A feed that does nothing."""

    name: str = "stocks"
    words: str = ""
    reconnects: int = 0
    refilled: int = 0
    state: FeedState = FeedState.UP
    desired: frozenset[str] = frozenset({"T.SPY", "Q.SPY"})
    held: frozenset[str] = frozenset({"T.SPY", "Q.SPY"})
    missing: frozenset[str] = frozenset()
    up_since_ns: int | None = 0
    last_frame_ns: int | None = 0

    @property
    def liveness(self) -> "StillFeed":
        return self

    def set_desired(self, topics: Collection[str]) -> None: ...

    def reconnect(self, reason: str) -> None: ...

    def stop(self) -> None: ...

    async def run(self, listener: FeedListener) -> None: ...


def still_session(
    clock: Clock | None = None, hooks: Hooks | None = None, options: LiveOptions | None = None
) -> LiveSession:
    """Make a session whose events go to a :class:`RecordingSink`."""
    clock = clock or FakeClock()
    windows = Windows([StrikeWindow(StrikeManager(5), clock.time_ns())])
    return LiveSession(
        RecordingSink(), windows, options or LiveOptions(), run_id="8c41", hooks=hooks or Hooks(), clock=clock
    )
