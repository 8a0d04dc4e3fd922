"""A connection to a real server: its errors, its writing, and the undocumented parts of nats-py that it uses."""

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from spyctl.bus.client import StrictClient
from spyctl.bus.connection import ApiError, Connection, connect, masked
from spyctl.errors import (
    AccessDeniedError,
    NoJetStreamError,
    NoServerError,
    NotNatsError,
    RefusedError,
    UnreachableError,
)
from tests.support.servers import NatsServer, unused_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


async def test_the_undocumented_parts_of_nats_py_that_we_use_exist(nats_server: NatsServer) -> None:
    connection = await connect([nats_server.url])
    client = connection._client
    assert client._server_info["version"] == connection.server_version
    assert client._transport is not None
    assert isinstance(client._transport._io_writer.transport, asyncio.Transport)
    assert client.options["max_reconnect_attempts"] == -1
    await connection.close()


@pytest.mark.filterwarnings("ignore:parameter 'timeout' of type:DeprecationWarning")  # nats-py's way to call aiohttp
async def test_a_server_can_be_reached_by_websocket(tmp_path: Path) -> None:
    port = unused_port()
    server = NatsServer(tmp_path, extra=f'websocket {{ host: "127.0.0.1", port: {port}, no_tls: true }}').start()
    try:
        connection = await connect([f"ws://127.0.0.1:{port}"])
        assert (await connection.jetstream_info())["streams"] == 0
        await connection.close()
    finally:
        server.stop()


async def test_written_frames_arrive_at_once_and_none_is_kept_over_a_disconnect(nats_server: NatsServer) -> None:
    connection = await connect([nats_server.url])
    received: list[bytes] = []

    async def on_message(message: object) -> None:
        received.append(message.data)  # type: ignore[attr-defined]

    await connection.subscribe("a", on_message)
    assert await connection.write(b"PUB a 1\r\n1\r\nPUB a 1\r\n2\r\n")
    await eventually(lambda: received == [b"1", b"2"])
    nats_server.stop()
    await eventually(lambda: not connection.connected)
    assert not await connection.write(b"PUB a 1\r\n3\r\n")
    nats_server.start()
    await connection.wait_connected(10)
    assert await connection.write(b"PUB a 1\r\n4\r\n")
    await eventually(lambda: received == [b"1", b"2", b"4"])
    await connection.close()


async def test_messages_that_are_handed_over_at_once_come_in_order_until_they_are_no_longer_wanted(
    nats_server: NatsServer,
) -> None:
    connection = await connect([nats_server.url])
    got: list[tuple[str, bytes]] = []

    async def note(message: Any) -> None:
        got.append((message.subject, message.data))
        if message.data == b"bad":
            raise ValueError("not this one")

    end = await connection.subscribe("a.*", note, at_once=True)
    for frame in (b"PUB a.1 1\r\nx\r\n", b"PUB a.2 3\r\nbad\r\n", b"PUB a.3 0\r\n\r\n", b"PUB b 1\r\ny\r\n"):
        await connection.write(frame)
    await eventually(lambda: len(got) == 3)
    assert got == [("a.1", b"x"), ("a.2", b"bad"), ("a.3", b"")]
    await connection.write(b"HPUB a.4 12 13\r\nNATS/1.0\r\n\r\nh\r\n")
    await eventually(lambda: got[-1] == ("a.4", b"h"))
    assert connection.connected
    await end()
    await connection.write(b"PUB a.5 1\r\nz\r\n")
    await connection.client.flush()
    assert len(got) == 4
    await connection.close()


async def test_a_server_that_reads_nothing_is_disconnected() -> None:
    stuck = asyncio.Event()

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.15.1","max_payload":1048576,"headers":true}\r\n')
        while line := await reader.readline():
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
            elif line.startswith(b"PUB"):
                await stuck.wait()
        writer.close()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as server:
        url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        connection = await connect([url], write_timeout_s=0.2)
        frames = b"PUB a 65536\r\n" + b"x" * 65_536 + b"\r\n"
        assert not await connection.write(frames * 400)
        async with asyncio.timeout(10):
            await connection.close()
        stuck.set()


def test_a_url_is_shown_without_its_secrets() -> None:
    assert masked("nats://me:hunter2@host:4222") == "nats://host:4222"
    assert masked("host") == "nats://host"


async def test_a_server_without_jetstream_is_an_error(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "plain", jetstream=False).start()
    try:
        connection = await connect([server.url])
        with pytest.raises(NoJetStreamError, match="JetStream"):
            await connection.jetstream_info()
        await connection.close()
    finally:
        server.stop()


async def test_an_address_where_nothing_answers_is_an_error_at_once(free_port: int) -> None:
    begun = time.monotonic()
    with pytest.raises(NoServerError, match=f"no NATS server answers on nats://127.0.0.1:{free_port}"):
        await connect([f"nats://127.0.0.1:{free_port}"])
    assert time.monotonic() - begun < 10


async def test_one_of_several_servers_is_enough(nats_server: NatsServer, free_port: int) -> None:
    for _ in range(4):
        connection = await connect([f"nats://127.0.0.1:{free_port}", nats_server.url])
        assert connection.url == nats_server.url
        await connection.close()


async def test_a_password_in_a_url_is_never_shown(free_port: int) -> None:
    with pytest.raises(UnreachableError) as caught:
        await connect([f"nats://me:hunter2@127.0.0.1:{free_port}"])
    assert "hunter2" not in caught.value.message + caught.value.remedy


async def test_what_answers_and_does_not_speak_nats_is_named() -> None:
    async def speak_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(speak_http, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NotNatsError, match=f"what answers on nats://127.0.0.1:{port} does not speak NATS"):
            await connect([f"nats://127.0.0.1:{port}"])


async def test_a_server_that_takes_only_small_messages_is_refused(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "small", extra="max_payload: 1000").start()
    try:
        with pytest.raises(RefusedError, match="takes messages of 1,000 bytes at most, 16,384 are needed"):
            await connect([server.url])
    finally:
        server.stop()


async def test_an_answer_of_jetstream_is_a_document_and_a_refusal_an_error_with_its_codes(
    nats_server: NatsServer,
) -> None:
    connection = await connect([nats_server.url])
    assert (await connection.jetstream_info())["limits"]
    with pytest.raises(ApiError, match=r"stream not found \(10059\)") as caught:
        await connection.api("STREAM.INFO.NONE")
    assert (caught.value.code, caught.value.err_code) == (404, 10059)
    await connection.close()


USERS = 'authorization {{ users: [ {{ user: u, password: "{}" }} ] }}'


async def test_why_a_connection_is_away_is_said(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats", extra=USERS.format("p")).start()
    try:
        connection = await connect([f"nats://u:p@127.0.0.1:{server.port}"])
        server.stop()
        await eventually(lambda: not connection.connected)
        assert server.url in connection.absence
        server.extra = USERS.format("q")
        server.start()
        await eventually(lambda: connection.absence == f"{server.url} refuses us: authorization violation")
        with pytest.raises(AccessDeniedError, match="refuses us: authorization violation"):
            await connection.wait_connected(0.1)
        await connection.close()
    finally:
        server.stop()


async def test_a_reconnect_that_misses_its_cancellation_ends_with_the_connection(nats_server: NatsServer) -> None:
    connection = await connect([nats_server.url])
    nats_server.stop()
    await eventually(lambda: connection._client._reconnection_task is not None)
    reconnecting = connection._client._reconnection_task
    assert reconnecting is not None
    connection._client._reconnection_task = None  # as if it had swallowed what close() does to it
    await connection.close()
    await eventually(reconnecting.done)


async def test_time_in_which_this_process_slept_is_no_absence_of_the_server() -> None:
    connection = Connection(cast(StrictClient, SimpleNamespace(is_closed=False, connected_url=None)), ["nats://a:4222"])
    waiting = asyncio.create_task(connection.wait_connected(120))
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    awake = loop.time
    try:
        loop.time = lambda: awake() + 140  # type: ignore[method-assign]
        for _ in range(5):
            await asyncio.sleep(0)
        await connection._standing.reconnected()
        await waiting
    finally:
        loop.time = awake  # type: ignore[method-assign]


async def test_a_server_that_stays_away_is_unreachable_after_the_time_given(nats_server: NatsServer) -> None:
    connection = await connect([nats_server.url])
    broken: list[bool] = []
    connection.on_disconnect(lambda: broken.append(True))
    nats_server.stop()
    await eventually(lambda: bool(broken))
    with pytest.raises(UnreachableError, match="went away and did not come back within 0.1 s"):
        await connection.wait_connected(0.1)
    await connection.close()


async def test_versions_are_compared_as_numbers(nats_server: NatsServer) -> None:
    connection = await connect([nats_server.url])
    connection._client._server_info["version"] = "2.14.1-RC.2"
    assert connection.server_at_least(2, 9)
    assert connection.server_at_least(2, 14)
    assert not connection.server_at_least(2, 15)
    assert not connection.server_at_least(3, 0)
    await connection.close()
