"""One connection to something that listens, or does not, and how it ends."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from spyctl.dbn.gateway.connection import Address, ConnectionEnd, GatewayConnection, keep
from spyctl.dbn.gateway.protocol import GatewayProtocol, Login, Subscription
from spyctl.dbn.gateway.simulator import KEY, GatewaySimulator
from spyctl.timing.ending import Ending


def connection(address: Address, key: str = KEY) -> GatewayConnection:
    return GatewayConnection(address, GatewayProtocol(Login(key), [Subscription("trades", ["ES.c.0"])]))


async def end_of(address: Address, key: str = KEY) -> ConnectionEnd:
    async with asyncio.timeout(20):
        return await connection(address, key).run(lambda piece: True, lambda: None)


@asynccontextmanager
async def server(answer: Callable[[asyncio.StreamWriter], None]) -> Any:
    def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer(writer)

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield Address("127.0.0.1", listening.sockets[0].getsockname()[1])
    finally:
        listening.close()


async def test_nobody_there_is_said_with_the_address(free_port: int) -> None:
    address = Address("127.0.0.1", free_port)
    assert (await end_of(address)).reason == f"{address} refuses the connection"


async def test_a_host_without_an_address_is_told() -> None:
    end = await end_of(Address("gateway.invalid", 13000))
    assert end.reason.startswith("gateway.invalid:13000 cannot be reached")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda writer: writer.close(), "closed by the gateway"),
        (lambda writer: writer.write(b"SSH-2.0-x" * 10_000), "does not speak the gateway's protocol"),
    ],
)
async def test_what_is_no_gateway_is_told(answer: Callable[[asyncio.StreamWriter], None], reason: str) -> None:
    async with server(answer) as address:
        assert reason in (await end_of(address)).reason


async def test_a_refused_login_has_the_words_of_the_gateway() -> None:
    async with GatewaySimulator(0).serving() as gateway:
        end = await end_of(gateway.address, "db-wrong")
    assert (end.refused, end.reason) == (True, "CRAM authentication failed")


async def test_who_receives_may_end_it() -> None:
    async with GatewaySimulator(500).serving() as gateway, asyncio.timeout(20):
        end = await connection(gateway.address).run(lambda piece: False, lambda: None)
    assert end.reason == "ended here"


async def test_a_silent_gateway_is_given_up_after_a_second_look() -> None:
    async with server(lambda writer: None) as address, asyncio.timeout(20):
        ending = Ending()
        end = await keep(connection(address), lambda _: True, lambda: None, ending, lambda: -1.0, lambda: "silent")
    assert (end, ending.reason) == (None, "silent")


async def test_a_connection_is_kept_until_it_is_to_end() -> None:
    async with GatewaySimulator(0).serving() as gateway, asyncio.timeout(20):
        ending = Ending()
        ending.stop()
        assert await keep(connection(gateway.address), lambda _: True, lambda: None, ending, lambda: 9, str) is None
