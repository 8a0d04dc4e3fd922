"""One connection of a feed, from its beginning to its end."""

import asyncio
from collections.abc import Callable

from spyctl.massive.socket import Receive, Socket, SocketEnd
from spyctl.timing.clock import Clock
from spyctl.timing.ending import Ending
from spyctl.timing.instants import HOUR, SECOND
from spyctl.timing.tasks import end_task

_FOREVER_NS = HOUR  # until somebody looks again


async def run_connection(
    socket: Socket,
    receive: Receive,
    ending: Ending,
    *,
    clock: Clock,
    is_up: Callable[[], bool],
    authenticate_s: float,
) -> tuple[SocketEnd | None, int]:
    """Keep a connection until it ends, or is asked to; it has so long to come up.

    Returns how it ended by itself, ``None`` where it did not, and when that was noticed (Unix ns).
    """
    connection = asyncio.create_task(socket.run(receive))
    connection.add_done_callback(lambda _: ending.wake())
    deadline_ns = clock.now_ns() + round(authenticate_s * SECOND)
    try:
        while not (connection.done() or ending.asked):
            left_ns = _FOREVER_NS if is_up() else deadline_ns - clock.now_ns()
            if left_ns <= 0:
                ending.ask("no authentication in time")
            else:
                await ending.wait(left_ns / SECOND)
        return (connection.result() if connection.done() else None), clock.time_ns()
    finally:
        await socket.close()
        await end_task(connection)
