"""When a feed last came up, and when it last said anything."""

from dataclasses import dataclass

from spyctl.timing.clock import Clock


@dataclass(slots=True)
class Liveness:
    """Monotonic ns; ``None`` where it never did. ``began_ns`` is when it began, Unix ns."""

    clock: Clock
    began_ns: int = 0
    up_since_ns: int | None = None
    last_frame_ns: int | None = None

    def begin(self) -> None:
        """Note that the feed begins."""
        self.began_ns = self.clock.time_ns()

    def up(self) -> None:
        """Note that the gateway let us in."""
        self.up_since_ns = self.last_frame_ns = self.clock.now_ns()

    def heard(self) -> None:
        """Note that something arrived."""
        self.last_frame_ns = self.clock.now_ns()
