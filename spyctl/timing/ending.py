"""Why a connection, or the whole feed that keeps it up, is to end."""

import asyncio
from contextlib import suppress

from spyctl.timing.clock import Clock
from spyctl.timing.instants import SECOND


class Ending:
    """Asked for by whoever has a reason, waited for by the feed; ``reason`` is the first one given."""

    def __init__(self) -> None:
        self.stopping = False
        self.reason = ""
        self._changed = asyncio.Event()

    @property
    def asked(self) -> bool:
        """Whether the connection is to end."""
        return self.stopping or bool(self.reason)

    def ask(self, reason: str) -> None:
        """Have the connection ended for a reason."""
        self.reason = self.reason or reason
        self.wake()

    def stop(self) -> None:
        """Have the feed ended."""
        self.stopping = True
        self.wake()

    def watch(self, task: "asyncio.Task[None]") -> None:
        """Have the feed ended when a task of its ends by itself, which it does where it fails."""

        def ended(task: "asyncio.Task[None]") -> None:
            if not task.cancelled():
                self.stop()

        task.add_done_callback(ended)

    def wake(self) -> None:
        """Have whoever waits look again."""
        self._changed.set()

    async def wait(self, timeout_s: float) -> None:
        """Return when something has changed, or after the time."""
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()

    async def pause(self, pause_s: float, clock: Clock) -> None:
        """Wait so long, or until the feed is to end; reasons to end a connection that come meanwhile are void."""
        until_ns = clock.now_ns() + round(pause_s * SECOND)
        while not self.stopping and (left_ns := until_ns - clock.now_ns()) > 0:
            await self.wait(left_ns / SECOND)
        self.take_reason()

    def take_reason(self) -> str:
        """Return why the connection ended, and forget it."""
        reason, self.reason = self.reason, ""
        return reason
