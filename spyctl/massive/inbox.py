"""Frames that were received and not yet read: reading the socket never waits for parsing, unless too many wait."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

MAX_FRAMES = 4_096
AT_ONCE = 8  # so that nobody waits for long


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame, and when it arrived: Unix ns and monotonic ns."""

    payload: str | bytes
    ts_recv_ns: int
    clock_ns: int


class Inbox:
    """Holds frames until ``read`` takes them, in order."""

    def __init__(self, read: Callable[[Frame], None]) -> None:
        self._read = read
        self._frames: deque[Frame] = deque()
        self._arrived = asyncio.Event()

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, frame: Frame) -> None:
        """Add a frame; where too many wait, some are read first."""
        self._frames.append(frame)
        self._arrived.set()
        if len(self._frames) > MAX_FRAMES:
            self.read(AT_ONCE)

    def read(self, count: int | None = None) -> None:
        """Read some frames, or all that wait."""
        for _ in range(len(self._frames) if count is None else min(count, len(self._frames))):
            self._read(self._frames.popleft())

    async def keep_reading(self) -> None:
        """Read what arrives, until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._frames:
                self.read(AT_ONCE)
                await asyncio.sleep(0)
