"""The simulator's server, spoken to by a plain WebSocket client: the vendor's protocol, word for word."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from spyctl.massive.simulator import Peer, Script, Simulator, Walk
from tests.support.waiting import eventually

OPTION = "T.O:SPY251216C00680000"


def status(name: str, message: str) -> dict[str, str]:
    return {"ev": "status", "status": name, "message": message}


async def read(client: ClientConnection) -> list[dict[str, Any]]:
    async with asyncio.timeout(10):
        frames: list[dict[str, Any]] = json.loads(await client.recv())
    return frames


@asynccontextmanager
async def authenticated(simulator: Simulator, market: str = "stocks") -> AsyncIterator[ClientConnection]:
    async with connect(f"{simulator.url}/{market}", proxy=None) as client:
        assert await read(client) == [status("connected", "Connected Successfully")]
        await client.send(json.dumps({"action": "auth", "params": "k"}))
        assert await read(client) == [status("auth_success", "authenticated")]
        yield client


async def test_connections_are_cut_every_so_often() -> None:
    async with Simulator(0, cut_every_s=0.05).serving() as simulator:
        for _ in range(2):
            async with asyncio.timeout(10):
                with suppress(WebSocketException, OSError):  # a cut may meet the handshake
                    async with connect(f"{simulator.url}/stocks", proxy=None) as client:
                        await client.wait_closed()


async def test_topics_are_acknowledged_once_each() -> None:
    async with Simulator(0).serving() as simulator, authenticated(simulator) as client:
        await client.send(json.dumps({"action": "subscribe", "params": "T.SPY, Q.SPY"}))
        assert await read(client) == [status("success", f"subscribed to: {topic}") for topic in ("T.SPY", "Q.SPY")]
        await client.send(json.dumps({"action": "subscribe", "params": "T.SPY"}))  # held already: no answer
        await client.send(json.dumps({"action": "unsubscribe", "params": "T.SPY,T.QQQ"}))
        assert await read(client) == [status("success", "unsubscribed to: T.SPY")]
        (peer,) = simulator.peers
        assert (peer.market, peer.topics) == ("stocks", ["Q.SPY"])
        assert [message["action"] for message in peer.heard] == ["auth", "subscribe", "subscribe", "unsubscribe"]


async def test_everybody_gets_what_they_hold_and_nothing_else() -> None:
    async with (
        Simulator(5_000, Walk(first_id=0)).serving() as simulator,
        authenticated(simulator) as stocks,
        authenticated(simulator, "options") as options,
    ):
        await stocks.send(json.dumps({"action": "subscribe", "params": "Q.SPY"}))
        await options.send(json.dumps({"action": "subscribe", "params": OPTION}))
        for client, topic in ((stocks, "Q.SPY"), (options, OPTION)):
            frames = [await read(client) for _ in range(6)]  # an event may be ahead of the acknowledgement
            events = [message for frame in frames for message in frame if message["ev"] != "status"]
            assert {f"{message['ev']}.{message['sym']}" for message in events} == {topic}
        assert simulator.sent > 0


async def test_a_rate_of_zero_is_silence() -> None:
    async with Simulator(0).serving() as simulator, authenticated(simulator) as client:
        await client.send(json.dumps({"action": "subscribe", "params": "Q.SPY"}))
        await read(client)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.recv(), 0.1)
        assert simulator.sent == 0


async def test_a_script_refuses_a_key_and_cuts_the_connection() -> None:
    class Refusing(Script):
        async def authenticate(self, peer: Peer, key: str) -> bool:
            await peer.status("auth_failed", f"not {key}")
            return False

    async with Simulator(0, script=Refusing()).serving() as simulator:
        async with connect(f"{simulator.url}/stocks", proxy=None) as client:
            await read(client)
            await client.send(json.dumps({"action": "auth", "params": "k"}))
            assert await read(client) == [status("auth_failed", "not k")]
            with pytest.raises(ConnectionClosed):
                await client.recv()
        await eventually(lambda: not simulator.peers)
        assert simulator.connections == 1


async def test_a_client_that_goes_away_is_forgotten_and_the_end_cuts_the_others() -> None:
    async with Simulator(2_000).serving() as simulator:
        async with authenticated(simulator) as client:
            await client.send(json.dumps({"action": "subscribe", "params": "Q.SPY"}))
            await read(client)
        await eventually(lambda: not simulator.peers)
        left = await connect(f"{simulator.url}/stocks", proxy=None)
        await eventually(lambda: len(simulator.peers) == 1)
    await read(left)  # the greeting
    with pytest.raises(ConnectionClosed):
        await left.recv()
