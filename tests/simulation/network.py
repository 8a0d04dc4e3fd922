"""A model of the network: a line between a process and the server that delays, breaks at any message, and swallows.

Both directions keep their order. Where a line breaks, a part of what was on its way to the server still arrives, and
nothing of what was on its way back: also long after, where it was *held*, as what a kernel sends again for a process
that has closed the connection, or is dead. A line that is *deaf* carries nothing any more, which neither side knows.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import nats.errors
import nats.js.errors
import orjson

from spyctl.bus.acks.fast_ingest import Op
from spyctl.bus.connection import REQUEST_TIMEOUT_S, ApiError, Connection
from spyctl.bus.standing import Standing
from spyctl.errors import UnreachableError
from tests.simulation.jetstream import Answer, JetStream
from tests.simulation.world import SECOND, Process, World
from tests.support.connection import Handler, OrderedReading, Published, messages

Happen = Callable[[], None]
SILENT_NS = 15 * SECOND  # a client gives a line up that is silent for so long
LATE_NS = SECOND // 5  # after so long a server has read what a broken connection still brought


class Line:
    """Carries what happens from one end to the other; ``up`` is what the process knows."""

    def __init__(self, rng: random.Random, process: Process, delay_ns: int, server: JetStream) -> None:
        self.up = True
        self._server = server
        self.deaf = self.swallows = False
        self.on_break: list[Callable[[], None]] = []
        self.on_mend: list[Callable[[], None]] = []
        self.on_start: Happen | None = None  # called once, just before the next message that begins a batch
        self._rng = rng
        self._process = process
        self._delay_ns = delay_ns
        self._epoch = 0
        self._there: deque[Happen] = deque()
        self._due_there_ns = self._due_back_ns = self._held_until_ns = 0

    @property
    def _world(self) -> World:
        return self._process.world

    def send(self, happen: Happen, *, starts: bool = False) -> None:
        """Have something happen at the server, behind all that was sent before; ``starts`` says that a batch begins."""
        if self._process.dead or self.deaf or not self.up:
            return
        if starts and (on_start := self.on_start) is not None:
            self.on_start = None
            on_start()
        self._due_there_ns = max(self._due_there_ns, self._world.now_ns + self._delay())
        self._there.append(happen)
        epoch = self._epoch
        self._world.at(self._due_there_ns, lambda: self._arrive(epoch))

    def back(self, happen: Happen) -> Happen:
        """Return what has something happen in the process, unless this connection is gone before."""
        epoch = self._epoch

        def arrived() -> None:
            if epoch == self._epoch and not self.deaf:
                self._process.call(happen)

        def send() -> None:
            if self.up and epoch == self._epoch and not self.deaf and not self.swallows:
                self._due_back_ns = max(self._due_back_ns, self._world.now_ns + self._delay())
                self._world.at(self._due_back_ns, arrived)

        return send

    def stall(self, for_ns: int) -> None:
        """Hold what is on its way to the server, and all that is sent from now on either way; bring it later."""
        self._held_until_ns = max(self._held_until_ns, self._world.now_ns + for_ns)
        if for_ns > SILENT_NS:
            epoch = self._epoch
            self._world.after(SILENT_NS, lambda: self.cut(SECOND // 10) if epoch == self._epoch else None)
        self._due_there_ns = max(self._due_there_ns, self._held_until_ns)
        self._due_back_ns = max(self._due_back_ns, self._held_until_ns)

    def cut(self, away_ns: int, *, late_ns: int = LATE_NS) -> None:
        """Break the line at any message that is on its way; it is up again after a while.

        A part of what is on its way arrives, up to ``late_ns`` later, or all of it where it was held; nothing where
        that is 0, as when a server dies.
        """
        self._epoch += 1
        due_ns = from_ns = max(self._world.now_ns, self._held_until_ns)
        fewest = len(self._there) if from_ns > self._world.now_ns else 0
        arriving = self._rng.randint(fewest, len(self._there)) if late_ns and not self.deaf else 0
        for happen in list(self._there)[:arriving]:
            due_ns += self._rng.randint(0, late_ns // 4)
            self._world.at(min(due_ns, from_ns + late_ns), self._while_it_lives(happen))
        self._there.clear()
        self.deaf, self._due_there_ns, self._due_back_ns, self._held_until_ns = False, 0, 0, 0
        if self.up:
            self.up = False
            self._process.call(lambda: [callback() for callback in self.on_break])
        epoch = self._epoch
        self._world.after(away_ns, lambda: self._mend(epoch))

    def _while_it_lives(self, happen: Happen) -> Happen:
        deaths = self._server.deaths
        self._world.strays += 1

        def arrive() -> None:
            self._world.strays -= 1
            if deaths == self._server.deaths:
                happen()

        return arrive

    def _mend(self, epoch: int) -> None:
        if self._world.now_ns < self._server.down_until_ns:
            self._world.at(self._server.down_until_ns, lambda: self._mend(epoch))
        elif epoch == self._epoch:
            self._process.call(self._mended, epoch)

    def _mended(self, epoch: int) -> None:
        if epoch != self._epoch:
            return  # the process was stopped meanwhile
        self.up = True
        for callback in self.on_mend:
            callback()

    def _arrive(self, epoch: int) -> None:
        if epoch != self._epoch or not self._there:
            return
        if self._world.now_ns < self._held_until_ns:
            self._world.at(self._held_until_ns, lambda: self._arrive(epoch))
        else:
            happen = self._there.popleft()
            if not self.deaf:
                happen()

    def _delay(self) -> int:
        return self._rng.randint(self._delay_ns // 2, self._delay_ns)


class SimulatedConnection:
    """Stands for a :class:`spyctl.bus.connection.Connection` of one process, whose other end is the model."""

    url = "nats://simulated:4222"
    trouble = ""

    def __init__(self, process: Process, line: Line, server: JetStream) -> None:
        self._process = process
        self._world = process.world
        self._line = line
        self._server = server
        self._bucket = server.bucket
        self._handlers: dict[str, Handler] = {}
        self._inboxes = 0
        self._waiting: list[Happen] = []  # what nats-py sends once the line is up again
        self._standing = Standing(lambda: self.url)
        line.on_break.append(self._broken)
        line.on_mend.append(self._mended)
        process.call(self._mended)

    def as_connection(self) -> Connection:
        return cast(Connection, self)

    @property
    def connected(self) -> bool:
        return self._line.up and not self._process.dead

    @property
    def absence(self) -> str:
        return self._standing.trouble or f"{self.url} is away"

    def server_at_least(self, major: int, minor: int) -> bool:
        return self._server.config.version >= (major, minor)

    def inbox(self) -> str:
        self._inboxes += 1
        return f"_INBOX.{self._process.name}{self._inboxes}"

    def on_disconnect(self, callback: Callable[[], None]) -> Callable[[], None]:
        return self._standing.on_disconnect(callback)

    async def wait_connected(self, timeout_s: float) -> None:
        await self._standing.wait(timeout_s)

    async def subscribe(self, subject: str, handler: Handler, **_: bool) -> Callable[[], Awaitable[None]]:
        inbox = subject.rstrip(".*>")
        self._handlers[inbox] = handler

        async def unsubscribe() -> None:
            self._handlers.pop(inbox, None)

        return unsubscribe

    async def write(self, frames: bytes | bytearray) -> bool:
        if not self.connected:
            return False
        for message in messages(frames):
            starts = message.reply.endswith(f".{Op.START.value}.$FI")
            self._line.send(lambda message=message: self._publish(message), starts=starts)  # type: ignore[misc]
        await asyncio.sleep(0)
        return self.connected

    async def api(self, subject: str, request: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            reply = await self.request(lambda: self._server.api(subject, request))
        except nats.errors.TimeoutError:
            raise UnreachableError(f"JetStream at {self.url} did not answer") from None
        if error := reply.get("error"):
            raise ApiError(error["code"], error["err_code"], error["description"])
        return cast(dict[str, Any], reply)

    async def request(self, ask: Callable[[], Any], *, bucket: bool = False) -> Any:
        """Have a question answered by the server, or by its bucket. Raises :class:`nats.errors.TimeoutError`."""

        def happen(answer: Answer) -> None:
            if not self._server.away and not (bucket and self._world.now_ns < self._bucket.away_until_ns):
                answer(ask())

        return await self.answered(happen)

    async def answered(self, happen_at: Callable[[Answer], None]) -> Any:
        """Have something happen at the server, and wait for its answer. Raises :class:`nats.errors.TimeoutError`."""
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def happen() -> None:
            happen_at(lambda answer: self._line.back(lambda: answered.done() or answered.set_result(answer))())

        if self.connected:
            self._line.send(happen)
        else:
            self._waiting.append(happen)
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                return await answered
        except TimeoutError:
            raise nats.errors.TimeoutError from None

    def jetstream(self) -> Any:
        return SimulatedJetStream(self, self._server, self._process.name)

    def _broken(self) -> None:
        asyncio.get_running_loop().create_task(self._standing.disconnected())

    def _mended(self) -> None:
        asyncio.get_running_loop().create_task(self._standing.reconnected())
        waiting, self._waiting = self._waiting, []
        for happen in waiting:
            self._line.send(happen)

    def _publish(self, message: Published) -> None:
        def answer(document: Any) -> None:
            data = orjson.dumps(document) if document is not None else b""
            self._line.back(lambda: self._deliver(message.reply, data))()

        self._server.publish(message, self._process.name, answer)

    def _deliver(self, subject: str, data: bytes) -> None:
        for inbox, handler in list(self._handlers.items()):
            if subject.startswith(inbox + "."):
                asyncio.get_running_loop().create_task(cast(Any, handler(SimpleNamespace(subject=subject, data=data))))


class SimulatedJetStream:
    """Stands for nats-py's JetStream client, and for the bucket that it opens."""

    def __init__(self, connection: SimulatedConnection, server: JetStream, writer: str) -> None:
        self._connection = connection
        self._server = server
        self._bucket = server.bucket
        self._writer = writer

    async def key_value(self, _: str) -> "SimulatedJetStream":
        if not await self._connection.request(lambda: self._bucket.made, bucket=True):
            raise nats.js.errors.NotFoundError
        return self

    async def create_key_value(self, **_: Any) -> "SimulatedJetStream":
        await self._connection.request(lambda: setattr(self._bucket, "made", True), bucket=True)
        return self

    async def get(self, key: str) -> Any:
        revision, value = await self._connection.request(lambda: self._bucket.get(key), bucket=True)
        if not revision:
            raise nats.js.errors.KeyNotFoundError
        return SimpleNamespace(value=value, revision=revision)

    async def put(self, key: str, value: bytes) -> int:
        return await self.update(key, value, None)

    async def create(self, key: str, value: bytes) -> int:
        return await self.update(key, value, 0)

    async def update(self, key: str, value: bytes, last: int | None = None) -> int:
        revision = await self._connection.request(lambda: self._bucket.put(key, value, last), bucket=True)
        if revision is None:
            raise nats.js.errors.KeyWrongLastSequenceError
        return cast(int, revision)

    async def publish(self, subject: str, payload: bytes, *, headers: dict[str, str] | None = None) -> Any:
        block = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        message = Published(subject, "", f"NATS/1.0\r\n{block}\r\n".encode(), payload)
        answer = await self._connection.answered(partial(self._server.publish, message, self._writer))
        if answer is None:
            raise nats.js.errors.NoStreamResponseError
        if error := answer.get("error"):
            raise nats.js.errors.APIError.from_error(error)
        return SimpleNamespace(**answer)

    def _rows(self, seq: int) -> Sequence[Any]:
        return self._server.after(seq)[:50]

    async def subscribe(self, *_: Any, config: Any, **__: Any) -> Any:
        """Read on and on, whatever breaks, as an ordered consumer does."""
        start = config.opt_start_seq or 1
        reading = OrderedReading(await self._connection.request(lambda: len(self._server.after(start))))

        async def deliver() -> None:
            seq = start
            while True:
                rows: Sequence[Any] = ()
                with suppress(nats.errors.Error):
                    rows = await self._connection.request(partial(self._rows, seq))
                for each in rows:
                    reading.deliver(each.seq, each.subject, each.payload, each.message_id)
                    seq = each.seq + 1
                if not rows:
                    await asyncio.sleep(0.2)

        reading.delivers(deliver())
        return reading
