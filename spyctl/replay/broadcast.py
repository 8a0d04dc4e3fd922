"""The clock of a replay, for whoever follows its time without reading the stream.

Four times a second, and at each change of state, speed or segment, ``spyctl.clock`` (core NATS, under the prefix where
there is one) carries ``{"run_id", "event_ns", "speed", "state", "segment"}``. It is never stored.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from spyctl.timing.clock import Clock, SystemClock
from spyctl.timing.instants import MS

CLOCK = "spyctl.clock"
_EVERY_NS, _LOOK_NS = 250 * MS, 25 * MS


async def keep_broadcasting(
    read: Callable[[], dict[str, Any]], send: Callable[[bytes], Awaitable[object]], clock: Clock | None = None
) -> None:
    """Send the clock that ``read`` returns, until cancelled."""
    clock = clock or SystemClock()
    sent_ns, before = 0, ()
    while True:
        now, now_ns = read(), clock.now_ns()
        state = tuple(value for key, value in now.items() if key != "event_ns")
        if state != before or now_ns - sent_ns >= _EVERY_NS:
            sent_ns, before = now_ns, state
            await send(orjson.dumps(now))
        await clock.wait_until(now_ns + _LOOK_NS)
