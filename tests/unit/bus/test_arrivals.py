"""Messages gathered off the line: which are taken in, and when there are too many."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from nats.aio.msg import Msg

from spyctl.bus.arrivals import Arrivals, is_status, parse_reply
from spyctl.market.lines import StreamMessage


def consumer() -> Any:
    known = SimpleNamespace(_dseq=1, _sseq=0, _active=False, last=None)
    known.track_sequences = lambda reply: setattr(known, "last", reply)
    return known


def reply(seq: int, number: int) -> bytes:
    return b"$JS.ACK.MARKET_DATA.c.1.%d.%d.1765898047388200000.5" % (seq, number)


def test_messages_are_taken_in_while_none_is_missing() -> None:
    arrivals, known = Arrivals(10), consumer()
    assert arrivals.append(known, b"a", reply(7, 1), b"x", b"")
    assert not arrivals.append(known, b"a", reply(9, 3), b"z", b"")
    assert arrivals.append(known, b"b", reply(8, 2), b"y", b"NATS/1.0\r\nX: 1\r\n\r\n")
    assert (known._dseq, known._sseq, known._active, known.last) == (3, 8, True, reply(8, 2).decode())
    assert arrivals.arrived.is_set()
    ns = 1_765_898_047_388_200_000
    assert arrivals.take() == [
        StreamMessage(7, "a", ns, b"x", 5),
        StreamMessage(8, "b", ns, b"y", 5, b"NATS/1.0\r\nX: 1\r\n\r\n"),
    ]
    assert (arrivals.take(), arrivals.arrived.is_set()) == ([], False)


def test_the_server_is_held_up_while_there_are_too_many() -> None:
    arrivals, known = Arrivals(3), consumer()
    for i in range(1, 6):
        arrivals.append(known, b"a", reply(i, i), b"x", b"")
        assert arrivals.qsize() == max(0, i - 3)
    arrivals.take()
    assert arrivals.qsize() == 0


def test_what_is_queued_already_comes_first() -> None:
    queue: asyncio.Queue[Msg] = asyncio.Queue()
    queue.put_nowait(Msg(None, "a", reply(1, 1).decode(), b"x", {"X": "1"}))  # type: ignore[arg-type]
    subscription = SimpleNamespace(_pending_queue=queue, _sub=SimpleNamespace(_pending_queue=queue))
    arrivals = Arrivals.of(subscription, 9)
    assert subscription._pending_queue is subscription._sub._pending_queue is arrivals
    assert [(one.seq, one.headers) for one in arrivals.take()] == [(1, b"NATS/1.0\r\nX: 1\r\n\r\n")]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [(None, False), (b"", False), (b"NATS/1.0\r\nX: 1\r\n\r\n", False), (b"NATS/1.0 100 Idle Heartbeat\r\n\r\n", True)],
)
def test_what_is_about_the_consumer_is_told_from_what_is_stored(headers: bytes | None, expected: bool) -> None:
    assert is_status(headers) is expected


@pytest.mark.parametrize("domain", ["", "hub.hash."])
def test_a_reply_subject_tells_the_place(domain: str) -> None:
    reply = f"$JS.ACK.{domain}S.c.2.11.3.99.4{'.random' if domain else ''}"
    assert parse_reply(reply.encode()) == (2, 11, 3, 99, 4)


def test_where_a_consumer_was_made_anew_is_remembered() -> None:
    arrivals, known = Arrivals(9), consumer()
    arrivals.append(known, b"a", reply(7, 1), b"x", b"")
    assert arrivals.anew == set()
    known._dseq = 1
    arrivals.append(known, b"a", reply(9, 1), b"x", b"")
    arrivals.append(known, b"a", reply(10, 2), b"x", b"")
    assert arrivals.anew == {9}
