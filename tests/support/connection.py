"""A connection to no server: its answers are a test's, and it remembers what was asked and written."""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import orjson

from spyctl.bus.connection import ApiError, Connection
from spyctl.errors import UnreachableError
from spyctl.timing.tasks import end_task

Handler = Callable[[Any], Awaitable[None]]
Held = tuple[str, bytes, str]  # a message that is stored: subject, payload, and its id if any


@dataclass(frozen=True)
class Published:
    """One message as it was written: ``headers`` is empty for a ``PUB``."""

    subject: str
    reply: str
    headers: bytes
    payload: bytes


def messages(frames: bytes | bytearray) -> Iterator[Published]:
    """Yield the messages of whole ``PUB`` and ``HPUB`` frames."""
    rest = bytes(frames)
    while rest:
        line, _, rest = rest.partition(b"\r\n")
        verb, subject, reply, *sizes = line.split(b" ")
        head, size = (0, int(sizes[0])) if verb == b"PUB" else (int(sizes[0]), int(sizes[1]))
        yield Published(subject.decode(), reply.decode(), rest[:head], rest[head:size])
        assert rest[size : size + 2] == b"\r\n"
        rest = rest[size + 2 :]


class OrderedReading:
    """Stands for nats-py's subscription of an ordered consumer, in whose queue messages arrive off the line."""

    def __init__(self, pending: int) -> None:
        self._pending_queue: Any = asyncio.Queue()
        self._sub = SimpleNamespace(_pending_queue=self._pending_queue)
        self._pending = pending
        self._number = 0

    def delivers(self, work: Coroutine[Any, Any, None]) -> None:
        """Have messages delivered until nobody reads any more."""
        self._delivering = asyncio.create_task(work)

    def deliver(self, seq: int, subject: str, payload: bytes, message_id: str = "") -> None:
        """Have a message of the stream arrive."""
        self._number += 1
        header = b"NATS/1.0\r\nNats-Msg-Id: %s\r\n\r\n" % message_id.encode() if message_id else b""
        known = SimpleNamespace(_dseq=self._number, _sseq=0, _active=True, track_sequences=lambda _: None)
        reply = b"$JS.ACK.S.c.1.%d.%d.0.0" % (seq, self._number)
        self._pending_queue.append(known, subject.encode(), reply, payload, header)

    async def consumer_info(self) -> Any:
        return SimpleNamespace(num_pending=self._pending, delivered=None)

    async def unsubscribe(self) -> None:
        await end_task(self._delivering)


@dataclass
class ScriptedConnection:
    """``answers`` maps an API subject, or its start, to a document, an error, a function that makes one of
    them of the request, or several in turn (the last one stays).

    ``respond`` gets each message that is written, and returns the documents that the server answers to it. ``held`` is
    what a stream holds to be read, from sequence 1 on, but for what is ``requested`` to be stored: subject, payload and
    headers, numbered from 1001 on.
    """

    answers: dict[str, Any] = field(default_factory=dict)
    respond: Callable[[Published], Iterable[Any]] = lambda _: ()
    held: Callable[[], Sequence[Held]] = lambda: ()
    version: tuple[int, int] = (2, 14)
    connected: bool = True
    trouble: str = ""
    url: str = "nats://scripted:4222"
    asked: list[tuple[str, Any]] = field(default_factory=list)
    written: list[Published] = field(default_factory=list)
    requested: list[tuple[str, bytes, dict[str, str] | None]] = field(default_factory=list)
    _handlers: list[Handler] = field(default_factory=list)
    _on_disconnect: list[Callable[[], None]] = field(default_factory=list)

    def as_connection(self) -> Connection:
        return cast(Connection, self)

    def server_at_least(self, major: int, minor: int) -> bool:
        return self.version >= (major, minor)

    def inbox(self) -> str:
        return "_INBOX.x"

    async def api(self, subject: str, request: dict[str, Any] | None = None) -> dict[str, Any]:
        self.asked.append((subject, request))
        key = max((start for start in self.answers if subject.startswith(start)), key=len, default="")
        answer = self.answers.get(key, self._message)
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        return cast(dict[str, Any], answer)

    def _message(self, request: Any) -> dict[str, Any]:
        if request is None:
            return {"config": {}}
        held = self.held()
        if "last_by_subj" in request:
            held = [("", b"", "")] * 1_000 + [(subject, payload, "") for subject, payload, _ in self.requested]
            found = [n for n, each in enumerate(held, 1) if each[0] == request["last_by_subj"]]
            request = {"seq": found[-1] if found else 0}
        if not 0 < request["seq"] <= len(held):
            raise ApiError(404, 10037, "no message found")
        subject, payload, _ = held[request["seq"] - 1]
        data = b64encode(payload).decode()
        return {"message": {"seq": request["seq"], "subject": subject, "time": "2025-12-16T14:30:00Z", "data": data}}

    async def subscribe(self, subject: str, handler: Handler, **_: bool) -> Callable[[], Awaitable[None]]:
        self._handlers.append(handler)

        async def unsubscribe() -> None:
            self._handlers.remove(handler)

        return unsubscribe

    def jetstream(self) -> Any:
        return SimpleNamespace(subscribe=self._read, publish=self._store)

    async def _store(self, subject: str, payload: bytes, *, headers: dict[str, str] | None = None) -> Any:
        self.requested.append((subject, payload, headers))
        return SimpleNamespace(seq=1_000 + len(self.requested))

    async def _read(self, *_: Any, config: Any, **__: Any) -> Any:
        rows = list(enumerate(self.held(), 1))[(config.opt_start_seq or 1) - 1 :]
        reading = OrderedReading(len(rows))

        async def deliver() -> None:
            for seq, (subject, payload, message_id) in rows:
                reading.deliver(seq, subject, payload, message_id)

        reading.delivers(deliver())
        return reading

    def on_disconnect(self, callback: Callable[[], None]) -> Callable[[], None]:
        self._on_disconnect.append(callback)
        return lambda: self._on_disconnect.remove(callback)

    @property
    def absence(self) -> str:
        return f"{self.url} is away"

    async def wait_connected(self, timeout_s: float) -> None:
        if not self.connected:
            raise UnreachableError(f"{self.url} went away and did not come back within {timeout_s:g} s")

    async def write(self, frames: bytes | bytearray) -> bool:
        if not self.connected:
            return False
        for message in messages(frames):
            self.written.append(message)
            for document in self.respond(message):
                await self.deliver(message.reply, document)
        return self.connected

    async def deliver(self, subject: str, document: Any) -> None:
        """Have a message arrive; ``None`` is one without a payload, as when nobody is there to answer."""
        data = orjson.dumps(document) if document is not None else b""
        for handler in self._handlers:
            await handler(SimpleNamespace(subject=subject, data=data))

    def cut(self) -> None:
        """Break the connection, and let it be up again at once."""
        for callback in self._on_disconnect:
            callback()
