"""A TCP proxy on loopback that a test can cut, hold or make deaf in either direction."""

import asyncio
from contextlib import suppress


class Proxy:
    """Forwards to ``port``; :meth:`cut` drops all connections, ``hold_replies`` keeps the server's answers back."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.replies = asyncio.Event()
        self.replies.set()
        self.cut_after: int | None = None  # bytes from the client after which everything is cut, once
        self.passed = 0

    async def __aenter__(self) -> "Proxy":
        self._port = 0
        await self.listen()
        self.url = f"nats://127.0.0.1:{self._port}"
        return self

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Drop all connections and take no new ones until :meth:`listen`."""
        self._server.close()
        self.cut()

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, upstream_writer}
        for task in (
            asyncio.create_task(self._pump(reader, upstream_writer, upward=True)),
            asyncio.create_task(self._pump(upstream_reader, writer, upward=False)),
        ):
            self._tasks.add(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, upward: bool) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                if upward:
                    self.passed += len(data)
                    if self.cut_after is not None and self.passed >= self.cut_after:
                        keep = len(data) - (self.passed - self.cut_after)
                        writer.write(data[:keep])
                        await writer.drain()
                        self.cut_after = None
                        self.cut()
                        return
                else:
                    await self.replies.wait()
                writer.write(data)
                await writer.drain()
        with suppress(OSError):
            writer.close()
