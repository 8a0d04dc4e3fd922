"""One connection: it ends by itself, when asked to, or because nobody lets us in."""

import asyncio
from collections.abc import Collection

from spyctl.massive.connection import run_connection
from spyctl.massive.socket import Receive, SocketEnd
from spyctl.timing.clock import SystemClock
from spyctl.timing.ending import Ending
from tests.support.waiting import eventually


class IdleSocket:
    """Does nothing until it is told how to end."""

    def __init__(self) -> None:
        self.end: asyncio.Future[SocketEnd] = asyncio.get_running_loop().create_future()
        self.closed = False

    async def run(self, receive: Receive) -> SocketEnd:
        return await self.end

    def subscribe(self, topics: Collection[str]) -> None: ...

    def unsubscribe(self, topics: Collection[str]) -> None: ...

    def repeat(self, subscribe: Collection[str], unsubscribe: Collection[str]) -> None: ...

    async def close(self) -> None:
        self.closed = True


def start(socket: IdleSocket, ending: Ending, *, up: bool = True) -> "asyncio.Task[tuple[SocketEnd | None, int]]":
    return asyncio.create_task(
        run_connection(socket, lambda _: True, ending, clock=SystemClock(), is_up=lambda: up, authenticate_s=0.05)
    )


async def test_a_connection_that_ends_by_itself_says_how() -> None:
    socket, ending = IdleSocket(), Ending()
    running = start(socket, ending)
    await asyncio.sleep(0)
    socket.end.set_result(SocketEnd("closed with 1006", 1006))
    end, noticed_ns = await asyncio.wait_for(running, 5)
    assert end == SocketEnd("closed with 1006", 1006)
    assert noticed_ns > 0
    assert socket.closed


async def test_a_connection_that_is_asked_to_end_is_closed() -> None:
    socket, ending = IdleSocket(), Ending()
    running = start(socket, ending)
    await asyncio.sleep(0)
    ending.ask("no quote for 15 s")
    end, _ = await asyncio.wait_for(running, 5)
    assert end is None
    assert socket.closed
    await eventually(lambda: socket.end.cancelled())


async def test_a_connection_that_does_not_come_up_in_time_ends() -> None:
    socket, ending = IdleSocket(), Ending()
    end, _ = await asyncio.wait_for(start(socket, ending, up=False), 5)
    assert (end, ending.reason) == (None, "no authentication in time")
