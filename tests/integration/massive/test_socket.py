"""One connection over the vendor's client library, under both of its names, against the simulator."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
import trustme

from spyctl.errors import UsageError
from spyctl.massive.simulator import Peer, Script, Simulator
from spyctl.massive.socket import SocketEnd, SocketRequest, VendorSocket, client_class, why_unreachable
from spyctl.timing.tasks import end_task
from tests.support.waiting import eventually

TOPICS = ("Q.SPY", "T.SPY")


@pytest.fixture(params=["polygon", "massive"])
def library(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(request.param)
    return str(request.param)


def request_to(url: str, library: str | None = None, **values: Any) -> SocketRequest:
    fields = {"market": "stocks", "api_key": "secret", "topics": TOPICS, "ping_s": 5.0, "connect_s": 2.0}
    return SocketRequest(url=url, library=library, **fields | values)


class Connected:
    """A socket that runs; ``frames`` are all that it handed on."""

    def __init__(self, simulator: Simulator, library: str, most: int) -> None:
        self.frames: list[Any] = []
        self.socket = VendorSocket(request_to(simulator.url, library))
        self._most = most
        self.task: asyncio.Task[SocketEnd] = asyncio.create_task(self.socket.run(self._receive))

    def _receive(self, frame: str | bytes) -> bool:
        self.frames.append(orjson.loads(frame))
        return len(self.frames) < self._most

    @property
    def messages(self) -> list[str]:
        """The statuses from the answer to the key on; ``massive`` hands on the greeting too."""
        messages = [item["message"] for frame in self.frames for item in frame if item["ev"] == "status"]
        return [message for message in messages if message != "Connected Successfully"]


@asynccontextmanager
async def connected(simulator: Simulator, library: str, most: int = 10**9) -> AsyncIterator[Connected]:
    connection = Connected(simulator, library, most)
    try:
        yield connection
    finally:
        await connection.socket.close()
        await end_task(connection.task)


async def test_frames_are_handed_on_from_the_answer_to_the_key_on(library: str) -> None:
    async with Simulator(1_000).serving() as simulator, connected(simulator, library) as connection:
        await eventually(lambda: len(connection.frames) > 10)
    first, *others = connection.messages
    assert (first, sorted(others)) == ("authenticated", ["subscribed to: Q.SPY", "subscribed to: T.SPY"])
    assert {item["ev"] for frame in connection.frames for item in frame} == {"status", "Q", "T"}


async def test_a_receiver_that_wants_no_more_ends_the_connection(library: str) -> None:
    async with Simulator(1_000).serving() as simulator, connected(simulator, library, most=5) as connection:
        assert (await asyncio.wait_for(connection.task, 10)).code is None
        assert len(connection.frames) == 5
        await eventually(lambda: not simulator.peers)


async def test_the_close_frame_of_the_server_is_the_end_of_the_connection(library: str) -> None:
    async with Simulator(0).serving() as simulator, connected(simulator, library) as connection:
        await eventually(lambda: len(connection.frames) >= 2)
        await simulator.peers[0].socket.close(1008, "policy violation")
        end = await asyncio.wait_for(connection.task, 10)
    assert end == SocketEnd("closed with 1008", 1008, "policy violation")


async def test_a_cut_has_no_code(library: str) -> None:
    async with Simulator(0).serving() as simulator, connected(simulator, library) as connection:
        await eventually(lambda: len(connection.frames) >= 2)
        simulator.peers[0].abort()
        end = await asyncio.wait_for(connection.task, 10)
    assert (end.code, end.message) in ((None, ""), (1006, ""))


async def test_topics_are_added_and_let_go_on_a_living_connection(library: str) -> None:
    async with Simulator(0).serving() as simulator, connected(simulator, library) as connection:
        await eventually(lambda: len(connection.messages) == 3)
        connection.socket.subscribe(["T.QQQ"])
        connection.socket.unsubscribe(["Q.SPY"])
        connection.socket.subscribe([])  # changes nothing
        await eventually(lambda: set(simulator.peers[0].topics) == {"T.SPY", "T.QQQ"})


async def test_what_was_not_acknowledged_is_said_again(library: str) -> None:
    class Deaf(Script):
        deaf = True

        async def subscribe(self, peer: Peer, topics: list[str]) -> None:
            if not self.deaf:
                await super().subscribe(peer, topics)

        async def unsubscribe(self, peer: Peer, topics: list[str]) -> None:
            if not self.deaf:
                await super().unsubscribe(peer, topics)

    script = Deaf()
    async with Simulator(0, script=script).serving() as simulator, connected(simulator, library) as connection:
        await eventually(lambda: bool(simulator.peers) and len(simulator.peers[0].heard) == 2)
        (peer,) = simulator.peers
        connection.socket.unsubscribe(["Q.SPY"])
        await eventually(lambda: len(peer.heard) == 3)
        script.deaf = False
        peer.topics.append("Q.SPY")
        connection.socket.repeat(["T.SPY"], ["Q.SPY"])
        await eventually(lambda: peer.topics == ["T.SPY"])


async def test_a_socket_that_never_ran_takes_no_harm() -> None:
    socket = VendorSocket(request_to("ws://127.0.0.1:1"))
    socket.subscribe(TOPICS)
    socket.unsubscribe(TOPICS)
    socket.repeat(TOPICS, TOPICS)
    await socket.close()


async def test_nobody_at_the_address_ends_it_with_the_reason(library: str, free_port: int) -> None:
    socket = VendorSocket(request_to(f"ws://127.0.0.1:{free_port}", library, connect_s=0.4))
    end = await asyncio.wait_for(socket.run(lambda _: True), 10)
    assert end == SocketEnd(f"127.0.0.1:{free_port} refuses the connection")


# --- why a server cannot be connected to


def port_of(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


async def answering(reply: bytes, tls: ssl.SSLContext | None = None) -> asyncio.Server:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(reply)
        await writer.drain()
        writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", ""),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "answers HTTP 503"),
        (b"SSH-2.0-x\r\n", ""),
        (b"", ""),
    ],
)
async def test_an_http_answer_other_than_an_upgrade_is_named(reply: bytes, reason: str) -> None:
    async with await answering(reply) as server:
        address = f"127.0.0.1:{port_of(server)}"
        expected = f"{address} {reason}" if reason else ""
        assert await why_unreachable(request_to(f"ws://{address}")) == expected


async def test_a_certificate_that_is_not_trusted_is_named() -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    async with await answering(b"", tls) as server:
        url = f"wss://127.0.0.1:{port_of(server)}"
        assert "the certificate of 127.0.0.1" in await why_unreachable(request_to(url))


async def test_tls_with_a_server_that_speaks_none_is_named() -> None:
    async with await answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as server:
        url = f"wss://127.0.0.1:{port_of(server)}"
        assert "TLS with 127.0.0.1" in await why_unreachable(request_to(url))


async def test_a_server_that_does_not_speak_http_is_named() -> None:
    async with await answering(b"x" * 200_000) as server:
        assert (await why_unreachable(request_to(f"ws://127.0.0.1:{port_of(server)}"))).endswith("does not speak HTTP")


async def test_a_server_that_says_nothing_in_time_has_no_reason_to_name() -> None:
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{port_of(server)}"
        assert await why_unreachable(request_to(url, connect_s=0.1)) == ""


# --- the library


def test_the_library_has_nobody_to_talk_to(library: str) -> None:
    client_class(library)
    for name in ("WebSocketClient", "RESTClient"):
        logger = logging.getLogger(name)
        assert ([type(handler) for handler in logger.handlers], logger.propagate) == ([logging.NullHandler], False)
    assert logging.getLogger("websockets").level == logging.INFO


def test_without_the_library_the_error_says_what_to_install() -> None:
    with pytest.raises(UsageError, match="client library is not installed") as caught:
        client_class("no_such_library")
    assert caught.value.remedy == "pip install polygon-api-client"


def test_the_key_is_not_shown() -> None:
    assert "secret" not in repr(request_to("ws://x"))


async def test_frames_that_wait_are_handed_on_in_one_turn_of_the_loop(library: str) -> None:
    turns, received = 0, list[tuple[int, int]]()

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def receive(frame: str | bytes) -> bool:
        received.extend((item["number"], turns) for item in orjson.loads(frame) if "number" in item)
        return True

    async with Simulator(0).serving() as simulator:
        socket = VendorSocket(request_to(simulator.url, library))
        running = asyncio.create_task(socket.run(receive))
        await eventually(lambda: bool(simulator.peers and simulator.peers[0].topics))
        counting = asyncio.create_task(count_turns())
        await asyncio.gather(*(simulator.peers[0].say({"ev": "X", "number": n}) for n in range(100)))
        await eventually(lambda: len(received) == 100)
        await socket.close()
        for task in (running, counting):
            await end_task(task)
    assert [number for number, _ in received] == list(range(100))
    assert received[-1][1] - received[0][1] < 50  # one at a time took several turns for each
