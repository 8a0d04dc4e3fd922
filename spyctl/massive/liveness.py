"""Since when nothing has arrived on a connection that ended: what its gap begins with."""

from dataclasses import dataclass

from spyctl.timing.clock import Clock
from spyctl.timing.instants import SECOND

ASLEEP_NS = 5 * SECOND


@dataclass(slots=True)
class Liveness:
    """When a feed was last known to be alive.

    A quiet connection was alive when its last ping was answered, two ``ping_ns`` before the end was noticed; where the
    process slept at that time, when it fell asleep. Before the feed was ever up, nothing was alive.
    """

    clock: Clock
    ping_ns: int
    asleep_ns: int = ASLEEP_NS
    lost: bool = False  # whether a gap is open
    up_since_ns: int | None = None  # monotonic
    last_frame_ns: int | None = None  # monotonic
    _last_frame_unix_ns: int = 0
    _begun_unix_ns: int = 0
    _beat_unix_ns: int = 0
    _slept_unix_ns: int | None = None
    _woke_unix_ns: int = 0

    def begin(self) -> None:
        """Note that the feed begins."""
        self._begun_unix_ns = self._beat_unix_ns = self.clock.time_ns()

    def connecting(self) -> None:
        """Note that a connection begins; what was before it is not sleep."""
        self._beat_unix_ns = self.clock.time_ns()

    def up(self) -> None:
        """Note that the server let us in."""
        self._slept_unix_ns = None
        self.up_since_ns = self.last_frame_ns = self.clock.now_ns()

    def frame(self) -> tuple[int, int]:
        """Note that a frame arrived; returns when, as Unix ns and monotonic ns."""
        self._last_frame_unix_ns, self.last_frame_ns = self.clock.time_ns(), self.clock.now_ns()
        return self._last_frame_unix_ns, self.last_frame_ns

    def beat(self) -> None:
        """Note that this process is awake; to be called several times a second."""
        now_ns = self.clock.time_ns()
        if now_ns - self._beat_unix_ns > self.asleep_ns:
            self._slept_unix_ns, self._woke_unix_ns = self._beat_unix_ns, now_ns
        self._beat_unix_ns = now_ns

    def lost_from(self, noticed_ns: int) -> int:
        """Return from when on events are missing (Unix ns), for an end noticed at an instant (Unix ns)."""
        alive_ns = self._begun_unix_ns
        if self.up_since_ns is not None:
            alive_ns = noticed_ns - 2 * self.ping_ns
            if self._slept_unix_ns is not None and alive_ns < self._woke_unix_ns:
                alive_ns = min(alive_ns, self._slept_unix_ns)
        return max(self._last_frame_unix_ns, alive_ns)
