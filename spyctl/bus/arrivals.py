"""Messages of an ordered consumer as they come off the line, gathered for a reader that takes them in batches.

nats-py makes an object of each message, queues it, and wakes a task to call a function. An :class:`Arrivals` stands in
the place of that queue: :class:`~spyctl.bus.client.StrictClient` appends to it what the line says. The order, flow
control and repair of the consumer stay with nats-py.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from nats.aio.msg import Msg

from spyctl.market.lines import StreamMessage

_SHORT_REPLY = 9  # fields of a reply subject without domain, account and random token
_STATUS = b"NATS/1.0 "  # how the header of a message begins that is about the consumer


def parse_reply(reply: bytes) -> tuple[int, int, int, int, int]:
    """Read where a message that a consumer hands out is.

    Returns how often it was delivered, its sequence, its number in the consumer, when it was stored (Unix ns),
    and how many are left.
    """
    # $JS.ACK.[domain.account.]stream.consumer.delivered.seq.number.time.pending[.random]
    fields = reply.split(b".")
    at = 4 if len(fields) == _SHORT_REPLY else 6
    return int(fields[at]), int(fields[at + 1]), int(fields[at + 2]), int(fields[at + 3]), int(fields[at + 4])


def is_status(headers: bytes | None) -> bool:
    """Tell whether a message is about its consumer, and nothing that the stream holds."""
    return bool(headers and headers.startswith(_STATUS))


class Arrivals:
    """What has arrived and was not taken yet; ``arrived`` is set while there is something.

    While there is more than ``most``, the server is held up by flow control. ``anew`` are the sequences with which a
    consumer begins that the client had to make anew.
    """

    def __init__(self, most: int) -> None:
        self.arrived = asyncio.Event()
        self.anew: set[int] = set()
        self._begun = False
        self._most = most
        self._messages: list[StreamMessage] = []
        self._subjects: dict[bytes, str] = {}

    @classmethod
    def of(cls, subscription: Any, most: int) -> "Arrivals":
        """Take the place of the queue of a subscription of nats-py, with what is in it."""
        arrivals, queue = cls(most), subscription._pending_queue
        subscription._pending_queue = subscription._sub._pending_queue = arrivals
        while not queue.empty():
            arrivals.put_nowait(queue.get_nowait())
        return arrivals

    def put_nowait(self, message: Msg) -> None:
        """Take in a message that nats-py has queued, as it would any."""
        _, seq, number, stored_ns, pending = parse_reply(message.reply.encode())
        self._add(number, StreamMessage(seq, message.subject, stored_ns, message.data, pending, _raw(message.headers)))

    def take(self) -> list[StreamMessage]:
        """Return all that has arrived, in its order."""
        messages, self._messages = self._messages, []
        self.arrived.clear()
        return messages

    def qsize(self) -> int:
        """Tell nats-py how much is too much; it answers the flow control of the server once this is nothing."""
        return max(0, len(self._messages) - self._most)

    def append(self, consumer: Any, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> bool:
        """Take in a message, unless one is missing before it; ``consumer`` is what nats-py knows of the consumer."""
        _, seq, number, stored_ns, pending = parse_reply(reply)
        if number != consumer._dseq:
            return False
        consumer._active = True
        consumer._dseq, consumer._sseq = number + 1, seq
        consumer.track_sequences(reply.decode())
        name = self._subjects.get(subject)
        if name is None:
            name = self._subjects[subject] = subject.decode()
        self._add(number, StreamMessage(seq, name, stored_ns, data, pending, headers))
        return True

    def _add(self, number: int, message: StreamMessage) -> None:
        if number == 1 and self._begun:
            self.anew.add(message.seq)
        self._begun = True
        self._messages.append(message)
        if len(self._messages) == 1:
            self.arrived.set()


def _raw(headers: Mapping[str, str] | None) -> bytes:
    lines = [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(["NATS/1.0", *lines, "", ""]).encode() if lines else b""
