"""What we use of nats-py without it being documented; a new version that changes it fails here, loudly."""

import asyncio

import pytest

from spyctl.bus.connection import connect, masked
from tests.support.servers import NatsServer
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


async def test_a_server_that_reads_nothing_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spyctl.bus.connection.WRITE_TIMEOUT_S", 0.2)
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
        connection = await connect([f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"])
        frames = b"PUB a 65536\r\n" + b"x" * 65_536 + b"\r\n"
        assert not await connection.write(frames * 400)
        async with asyncio.timeout(10):
            await connection.close()
        stuck.set()


def test_a_url_is_shown_without_its_secrets() -> None:
    assert masked("nats://me:hunter2@host:4222") == "nats://host:4222"
    assert masked("host") == "nats://host"
