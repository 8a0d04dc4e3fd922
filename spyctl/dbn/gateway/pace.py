"""How fast the gateway is read.

What is sent again waits for room. What is live never does, but is gathered for a millisecond: a read costs as much as
some twenty of its records.
"""

from collections.abc import Awaitable, Callable

from spyctl.timing.clock import Clock
from spyctl.timing.instants import MS


class Pace:
    """``room`` is awaited before more is read while ``refilling``; ``waits`` tells that nothing is read meanwhile."""

    def __init__(
        self,
        room: Callable[[], Awaitable[None]] | None,
        refilling: Callable[[], bool],
        clock: Clock,
        gather_ns: int = MS,
    ) -> None:
        self.waits = False
        self._room = room
        self._refilling = refilling
        self._clock = clock
        self._gather_ns = gather_ns

    async def wait(self) -> None:
        """Return when more may be read."""
        if not self._refilling():
            await self._clock.wait_until(self._clock.now_ns() + self._gather_ns)
        elif self._room is not None:
            self.waits = True
            try:
                await self._room()
            finally:
                self.waits = False
