"""A TCP proxy on loopback that a test can cut, hold, make long or make deaf in either direction."""

import asyncio
from contextlib import suppress

_UNDER_WAY = 1_000  # pieces on a long line; behind them the sender waits


class Proxy:
    """Forwards to ``port``; :meth:`cut` drops all connections, ``replies`` cleared keeps the server's answers back.

    Every byte takes ``delay_s`` each way, however many are under way.
    """

    def __init__(self, port: int, delay_s: float = 0.0) -> None:
        self._target = port
        self._delay_s = delay_s
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.replies = asyncio.Event()
        self.replies.set()
        # Bytes from the client (True) or from the server (False) after which everything is cut, once.
        self.cut_after: dict[bool, int] = {}
        self.passed = {True: 0, False: 0}

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
        for source, target, upward in ((reader, upstream_writer, True), (upstream_reader, writer, False)):
            line = _Line(source, self._delay_s)
            self._tasks |= {asyncio.create_task(line.fill()), asyncio.create_task(self._pump(line, target, upward))}

    async def _pump(self, line: "_Line", writer: asyncio.StreamWriter, upward: bool) -> None:
        with suppress(OSError):
            while data := await line.read():
                if not upward:
                    await self.replies.wait()
                self.passed[upward] += len(data)
                limit = self.cut_after.get(upward)
                if limit is not None and self.passed[upward] >= limit:
                    writer.write(data[: len(data) - (self.passed[upward] - limit)])
                    await writer.drain()
                    del self.cut_after[upward]
                    self.cut()
                    return
                writer.write(data)
                await writer.drain()
        with suppress(OSError):
            writer.close()


class _Line:
    # What is under way in one direction, each piece with the time at which it arrives; an empty one is the end.
    def __init__(self, source: asyncio.StreamReader, delay_s: float) -> None:
        self._source = source
        self._delay_s = delay_s
        self._pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_UNDER_WAY)

    async def fill(self) -> None:
        data = b"-"
        while data:
            try:
                data = await self._source.read(1 << 16)
            except OSError:
                data = b""
            await self._pieces.put((asyncio.get_running_loop().time() + self._delay_s, data))

    async def read(self) -> bytes:
        due, data = await self._pieces.get()
        if (left := due - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(left)
        return data
