"""One connection to the gateway: bytes from the network to a protocol, answers back, and how it ends."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from spyctl.dbn.gateway.protocol import GatewayProtocol, GatewayProtocolError, LoginRefusedError
from spyctl.dbn.records import Piece
from spyctl.timing.ending import Ending
from spyctl.timing.tasks import end_task

HOST, PORT = "glbx-mdp3.lsg.databento.com", 13000
_READ = 1 << 20
_CLOSE_S = 1.0

_DOUBT_S = 0.5  # after a sleep, what has been buffered is read before the link counts as dead

Receive = Callable[[Piece], bool]
Room = Callable[[], Awaitable[None]]


async def _always() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Address:
    """Where a gateway listens."""

    host: str = HOST
    port: int = PORT

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ConnectionEnd:
    """Why a connection ended; ``refused`` says that the gateway did not let us in, in its own words."""

    reason: str
    refused: bool = False


class GatewayConnection:
    """A connection that has not begun, or goes on, or has ended."""

    def __init__(self, address: Address, protocol: GatewayProtocol, room: Room = _always) -> None:
        """``room`` is awaited before more is read."""
        self.protocol = protocol
        self._room = room
        self._address = address
        self._writer: asyncio.StreamWriter | None = None

    async def run(self, receive: Receive, heard: Callable[[], None]) -> ConnectionEnd:
        """Connect, log in, and hand on the records; ``heard`` is called whenever something has arrived.

        Ends with the connection, or when ``receive`` returns false.
        """
        try:
            reader, self._writer = await asyncio.open_connection(
                self._address.host, self._address.port, limit=2 * _READ
            )
            while data := await reader.read(_READ):
                received = self.protocol.receive(data)
                heard()
                if received.answer:
                    self._writer.write(received.answer)
                if received.piece is not None and received.piece.starts and not receive(received.piece):
                    return ConnectionEnd("ended here")
                if self.protocol.problem is not None:
                    return ConnectionEnd(f"{self._address} sends what makes no sense: {self.protocol.problem}")
                await self._room()
        except LoginRefusedError as error:
            return ConnectionEnd(str(error), refused=True)
        except GatewayProtocolError as error:
            return ConnectionEnd(f"{self._address} does not speak the gateway's protocol: {error}")
        except ConnectionRefusedError:
            return ConnectionEnd(f"{self._address} refuses the connection")
        except (ConnectionResetError, BrokenPipeError):
            return ConnectionEnd("the gateway reset the connection")
        except OSError as error:
            return ConnectionEnd(f"{self._address} cannot be reached ({error.strerror or type(error).__name__})")
        return ConnectionEnd("closed by the gateway")

    async def close(self) -> None:
        """Close the connection; never raises."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.transport.abort()
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await writer.wait_closed()


async def keep(
    connection: GatewayConnection,
    receive: Receive,
    heard: Callable[[], None],
    ending: Ending,
    left_s: Callable[[], float],
    silent: Callable[[], str],
) -> ConnectionEnd | None:
    """Keep a connection until it ends, or is asked to; returns how it ended by itself, ``None`` where it did not.

    ``left_s`` tells how many seconds something may still be waited for, ``silent`` what to call it where it does not
    come.
    """
    running = asyncio.create_task(connection.run(receive, heard))
    running.add_done_callback(lambda _: ending.wake())
    doubted = False
    try:
        while not (running.done() or ending.asked):
            if (left := left_s()) > 0:
                doubted = False
                await ending.wait(left)
            elif not doubted:
                doubted = True
                await ending.wait(_DOUBT_S)
            else:
                ending.ask(silent())
        return running.result() if running.done() else None
    finally:
        await connection.close()
        await end_task(running)
