"""A connection to no server: its answers are a test's, and it remembers what was asked and written."""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import orjson

from spyctl.bus.connection import ApiError, Connection
from spyctl.errors import UnreachableError
from spyctl.timing.tasks import end_task

Handler = Callable[[Any], Awaitable[None]]
Held = tuple[str, bytes, str]  # a message that is stored: subject, payload, and its id if any


def stored_message(subject: str, payload: bytes, seq: int, headers: dict[str, str] | None) -> Any:
    """Return a message as nats-py's ordered consumer queues it."""
    return SimpleNamespace(subject=subject, reply=f"$JS.ACK.S.c.1.{seq}.{seq}.0.0", data=payload, headers=headers)


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


@dataclass
class ScriptedConnection:
    """``answers`` maps an API subject, or its start, to a document, an error, a function that makes one of
    them of the request, or several in turn (the last one stays).

    ``respond`` gets each message that is written, and returns the documents that the server answers to it. ``held`` is
    what a stream holds to be read, from sequence 1 on.
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
        if not 0 < request["seq"] <= len(held):
            raise ApiError(404, 10037, "no message found")
        subject, payload, _ = held[request["seq"] - 1]
        data = b64encode(payload).decode()
        return {"message": {"seq": request["seq"], "subject": subject, "time": "2025-12-16T14:30:00Z", "data": data}}

    async def subscribe(self, subject: str, handler: Handler) -> Callable[[], Awaitable[None]]:
        self._handlers.append(handler)

        async def unsubscribe() -> None:
            self._handlers.remove(handler)

        return unsubscribe

    def jetstream(self) -> Any:
        return SimpleNamespace(subscribe=self._read)

    async def _read(self, *_: Any, config: Any, **__: Any) -> Any:
        subscription: Any = SimpleNamespace(_pending_queue=asyncio.Queue())
        subscription._sub = subscription
        rows = list(enumerate(self.held(), 1))[(config.opt_start_seq or 1) - 1 :]

        async def deliver() -> None:
            for seq, (subject, payload, message_id) in rows:
                headers = {"Nats-Msg-Id": message_id} if message_id else None
                subscription._pending_queue.put_nowait(stored_message(subject, payload, seq, headers))

        async def consumer_info() -> Any:
            return SimpleNamespace(num_pending=len(rows), delivered=None)

        delivering = asyncio.create_task(deliver())
        subscription.consumer_info, subscription.unsubscribe = consumer_info, partial(end_task, delivering)
        return subscription

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
