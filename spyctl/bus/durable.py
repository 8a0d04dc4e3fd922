"""Reading a stream through a durable consumer: in order, each message once, acknowledged when it is safe.

The server keeps the consumer, so others see how far behind it is. What it has handed out and was not acknowledged
would come again out of order after an outage; so the consumer is then made anew behind the last message that came.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import orjson
from nats.aio.msg import Msg

from spyctl.bus.arrivals import parse_reply
from spyctl.bus.connection import ApiError, Connection
from spyctl.bus.contents import message_at, same_info
from spyctl.bus.reader import subject_filter
from spyctl.errors import AccessDeniedError, BusError, StreamGoneError, UnreachableError
from spyctl.market.lines import StreamMessage
from spyctl.timing.instants import DAY, MINUTE, SECOND

BATCH = 4_000  # messages asked for at once
_MOST_BYTES = 8 << 20  # of them
_AHEAD = 50_000  # messages that may be handed out and not acknowledged
_EXPIRES_NS = 30 * SECOND
_HEARTBEAT_NS = 5 * SECOND
_SILENCE_S = 15.0
_TICK_S = 0.1
_RETRY_S = 0.2
_HEARTBEAT = "100"


class DurableReader:
    """One durable consumer, which is ours alone, of the stream that was made at ``born``.

    ``next_seq`` is where it goes on, ``pending`` how many messages are left in the stream, ``restarts`` how often the
    consumer was made anew. What was returned tells of everything up to ``read_to_seq``, with ``holes``: messages, first
    and last sequence, that were gone before they were read, some perhaps on other subjects than the wanted ones.
    """

    def __init__(
        self, connection: Connection, stream: str, born: str, name: str, subjects: Sequence[str], next_seq: int
    ) -> None:
        self.name = name
        self.next_seq = max(1, next_seq)
        self.pending = 0
        self.restarts = -1
        self.read_to_seq = self.next_seq - 1
        self.holes: list[tuple[int, int]] = []
        self._connection = connection
        self._stream = stream
        self._born = born
        self._filter = subject_filter(connection, subjects)
        self._wanted = frozenset(subjects)
        self._session = _Session(connection)
        self._arrived: list[StreamMessage] = []
        self._new_holes: list[tuple[int, int]] = []
        self._replies = ["", ""]  # to the last message that has come, and to the last one that was returned

    async def read(self, timeout_s: float) -> list[StreamMessage]:
        """Return what has come, in the order of the stream, or nothing after ``timeout_s``.

        An outage is waited for. Raises :class:`StreamGoneError` where the stream was deleted or made anew, and
        :class:`UnreachableError`, :class:`AccessDeniedError` where it cannot be read.
        """
        loop = asyncio.get_running_loop()
        end_s = loop.time() + timeout_s
        while True:
            if self._session.broken:
                await self._restart()
            await self._session.ask(f"{self._stream}.{self.name}", len(self._arrived))
            await self._session.wait(min(_TICK_S, end_s - loop.time()))
            if self._arrived or loop.time() >= end_s:
                arrived, self._arrived = self._arrived, []
                self._replies[1], self.read_to_seq = self._replies[0], self.next_seq - 1
                self.holes += self._new_holes
                self._new_holes.clear()
                return arrived

    async def acknowledge(self) -> None:
        """Tell the server that everything returned so far is safe; what does not get there is told the next time."""
        if reply := self._replies[1]:
            await self._connection.write(b"PUB %s 4\r\n+ACK\r\n" % reply.encode())

    async def look(self) -> bool:
        """Look how far the stream is; returns whether nothing wanted is left there that has not come.

        Notes as a hole what fell out meanwhile. Raises what :meth:`read` does; a server that is away is none.
        """
        try:
            state = (await self._stream_info())["state"]
            info = await self._connection.api(f"CONSUMER.INFO.{self._stream}.{self.name}")
        except AccessDeniedError:
            raise
        except (ApiError, UnreachableError):
            return False
        handed_out, number = int(info["delivered"]["stream_seq"]), int(info["delivered"]["consumer_seq"])
        if number != self._session.expected - 1:
            return False  # some of it is on its way
        if not info["num_pending"]:
            last_seq, next_seq = int(state["last_seq"]), self.next_seq
            if await self._holds_any(next_seq, last_seq):
                return False  # the consumer has not been told of it yet
            self.next_seq = max(self.next_seq, last_seq + 1)
            return True
        if self._filter and int(state["first_seq"]) > max(self.next_seq, handed_out + 1):
            self._note_hole(int(state["first_seq"]))
        return False

    async def close(self) -> None:
        """Leave the consumer as it is, so that others see where it stands; never raises."""
        await self._session.end()

    async def _stream_info(self) -> dict[str, Any]:
        return await same_info(self._connection, self._stream, self._born)

    async def _holds_any(self, first_seq: int, last_seq: int) -> bool:
        # Whether the stream itself holds wanted messages: under load a consumer learns of them later.
        if first_seq > last_seq:
            return False
        try:
            for subject in sorted(self._wanted) if self._filter else [">"]:
                place = {"seq": first_seq, "next_by_subj": subject}
                message = await message_at(self._connection, self._stream, place)
                if message is not None and message.seq <= last_seq:
                    return True
        except AccessDeniedError:
            raise
        except (ApiError, UnreachableError):
            return True  # nobody knows
        return False

    async def _restart(self) -> None:
        # Makes the consumer, so that it goes on with the next message; where the server is away, the next time.
        await self._session.end()
        if self.restarts >= 0:
            await asyncio.sleep(_RETRY_S)
            if not self._connection.connected:
                return
        self._session = session = _Session(self._connection)
        self._replies = ["", ""]
        try:
            state = (await self._stream_info())["state"]
            with suppress(ApiError):
                await self._connection.api(f"CONSUMER.DELETE.{self._stream}.{self.name}")
            await self._connection.api(f"CONSUMER.CREATE.{self._stream}.{self.name}", self._config())
            await session.begin(self._take)
        except ApiError as error:
            if self.restarts < 0:
                where = f"stream {self._stream} at {self._connection.url}"
                raise UnreachableError(f"{where} cannot be read: {error}") from None
            return  # a cluster that elects a leader
        except BusError as error:
            if self.restarts < 0 or isinstance(error, AccessDeniedError | StreamGoneError):
                raise
            return
        self.restarts += 1
        if int(state["first_seq"]) > self.next_seq:
            self._note_hole(int(state["first_seq"]))

    def _config(self) -> dict[str, Any]:
        config = {
            "durable_name": self.name,
            "name": self.name,
            "description": "spyctl record",
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": self.next_seq,
            "ack_policy": "all",
            "ack_wait": 5 * MINUTE,
            "max_ack_pending": _AHEAD,
            "inactive_threshold": DAY,
            **self._filter,
        }
        return {"stream_name": self._stream, "config": config}

    def _take(self, message: Msg) -> None:
        delivered, seq, number, stored_ns, pending = parse_reply(message.reply.encode())
        if delivered != 1 or number != self._session.expected or seq < self.next_seq:
            self._session.drop()
            return
        self._session.expected += 1
        if seq > self.next_seq and not self._filter:
            self._note_hole(seq)
        self._replies[0] = message.reply
        self.next_seq, self.pending = seq + 1, pending
        if message.subject in self._wanted:
            self._arrived.append(StreamMessage(seq, message.subject, stored_ns, message.data, pending))

    def _note_hole(self, first_seq: int) -> None:
        # The stream now begins there.
        self._new_holes.append((self.next_seq, first_seq - 1))
        self.next_seq = first_seq


class _Session:
    # One consumer's messages over one connection; what was asked for does not come over the next one.
    def __init__(self, connection: Connection) -> None:
        self.expected = 0  # the number that the consumer gives to its next message; 0 where none is to come
        self._connection = connection
        self._inbox = connection.inbox()
        self._outstanding = 0  # messages asked for that did not come yet
        self._heard_s = 0.0
        self._signal = asyncio.Event()
        self._ends: list[Callable[[], Awaitable[None]]] = []

    @property
    def broken(self) -> bool:
        return not self.expected or asyncio.get_running_loop().time() - self._heard_s > _SILENCE_S

    async def begin(self, take: Callable[[Msg], None]) -> None:
        self._heard_s = asyncio.get_running_loop().time()

        async def on_message(message: Msg) -> None:
            self._heard_s = asyncio.get_running_loop().time()
            if message.reply:
                self._outstanding -= 1
                if self.expected:
                    take(message)
            else:
                self._take_status(message.headers or {})
            self._signal.set()

        self._ends.append(await self._connection.subscribe(f"{self._inbox}.*", on_message))
        no_longer = self._connection.on_disconnect(self.drop)

        async def forget() -> None:
            no_longer()

        self._ends.append(forget)
        self.expected = 1

    def drop(self) -> None:
        """Take nothing more."""
        self.expected = 0
        self._signal.set()

    async def ask(self, consumer: str, waiting: int) -> None:
        """Ask for more messages, unless enough are on their way, or wait to be taken."""
        if not self.expected or self._outstanding > BATCH // 2 or waiting > BATCH:
            return
        wanted = {"batch": BATCH, "max_bytes": _MOST_BYTES, "expires": _EXPIRES_NS, "idle_heartbeat": _HEARTBEAT_NS}
        body = orjson.dumps(wanted)
        head = f"PUB $JS.API.CONSUMER.MSG.NEXT.{consumer} {self._inbox}.n {len(body)}\r\n"
        self._outstanding += BATCH
        if not await self._connection.write(head.encode() + body + b"\r\n"):
            self.drop()

    async def wait(self, timeout_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, timeout_s)):
                await self._signal.wait()
        self._signal.clear()

    async def end(self) -> None:
        self.drop()
        while self._ends:
            await self._ends.pop()()

    def _take_status(self, headers: dict[str, str]) -> None:
        # A request ended before all that it asked for had come, or the consumer is no more.
        if headers.get("Status") == _HEARTBEAT:
            return
        left = headers.get("Nats-Pending-Messages", "")
        if left.isdigit():
            self._outstanding -= int(left)
        else:
            self.drop()
