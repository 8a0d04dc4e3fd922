"""Whole NATS protocol messages from encoded events, without touching single ones."""

from collections.abc import Sequence

import numpy as np

from spyctl.market import kernel
from spyctl.market.byte_rows import decimals
from spyctl.market.encode import EncodedBatch
from spyctl.market.texts import SideBySide, Texts, repeated

Ints = np.ndarray[tuple[int], np.dtype[np.int64]]
_CRLF = b"\r\n"


def pub_frames(batch: EncodedBatch, subjects: Sequence[str], reply: str, first: int, tail: str) -> memoryview:
    """Frame events as ``PUB <subject> <reply><first, first + 1, …><tail> <size>``.

    ``subjects`` is the table that the ranks of the events index.
    """
    behind = tail.encode() + b" "
    if (compiled := kernel.encoder().kernel) is not None:
        return _compiled(compiled, batch, tuple(_head_texts(b"PUB ", subjects, reply)), first, behind)
    heads = _heads(batch, b"PUB ", subjects, reply)
    return _framed([heads, decimals(_numbers(batch, first), behind), decimals(batch.lengths, _CRLF), batch.texts])


def _compiled(
    compiled: kernel.Kernel, batch: EncodedBatch, heads: tuple[bytes, ...], first: int, behind: bytes
) -> memoryview:
    texts = batch.texts
    most = max(map(len, heads)) + len(behind) + 2 * (kernel.NUMBER_BYTES + len(_CRLF))
    data = np.empty(int(texts.lengths.sum()) + len(batch) * most, np.uint8)
    written = compiled.frame(texts.data, texts.starts, texts.lengths, batch.ranks, heads, first, behind, data)
    return data.data[:written]


def hpub_frame(batch: EncodedBatch, subjects: Sequence[str], reply: str, lines: bytes) -> bytes:
    """Frame the one event of a batch as ``HPUB <subject> <reply>``, with the ``lines`` of a header."""
    payload, header = batch.payloads()[0], b"NATS/1.0\r\n" + lines + _CRLF
    head = f"HPUB {subjects[batch.ranks[0]]} {reply} {len(header)} {len(header) + len(payload)}\r\n"
    return b"".join((head.encode(), header, payload, _CRLF))


def hpub_frames(
    batch: EncodedBatch, subjects: Sequence[str], reply: str, first: int, message_id: str, *, more: bytes = b""
) -> memoryview:
    """Frame events as ``HPUB <subject> <reply><first, …>`` with the header ``Nats-Msg-Id``.

    That is the event's own id where the batch brings ids, else ``<message_id><first, …>``. ``more`` are further lines
    of the header.
    """
    numbers, behind = _numbers(batch, first), b"\r\n\r\n"
    if batch.ids is None:
        prefix, ids = message_id.encode(), decimals(numbers, b"")
    else:
        prefix, ids = b"", batch.ids
    before = b"NATS/1.0\r\n" + more + b"Nats-Msg-Id: " + prefix
    head, count = len(before) + ids.lengths + len(behind), len(batch)
    return _framed(
        [
            _heads(batch, b"HPUB ", subjects, reply),
            decimals(numbers, b" "),
            decimals(head, b" "),
            decimals(head + batch.lengths, _CRLF),
            repeated(before, count),
            ids,
            repeated(behind, count),
            batch.texts,
        ]
    )


def _numbers(batch: EncodedBatch, first: int) -> Ints:
    return np.arange(first, first + len(batch), dtype=np.int64)


def _heads(batch: EncodedBatch, verb: bytes, subjects: Sequence[str], reply: str) -> Texts:
    # The line break before each ends what is before it.
    heads = [_CRLF + head for head in _head_texts(verb, subjects, reply)]
    return Texts.of(heads)[batch.ranks.astype(np.intp)]


def _head_texts(verb: bytes, subjects: Sequence[str], reply: str) -> list[bytes]:
    return [b"%b%b %b" % (verb, subject.encode(), reply.encode()) for subject in subjects]


def _framed(parts: Sequence[Texts]) -> memoryview:
    messages = SideBySide(parts)
    starts = np.cumsum(messages.lengths) - messages.lengths
    data = np.empty(int(messages.lengths.sum()) + len(_CRLF), np.uint8)
    messages.place(data, starts)
    data[-len(_CRLF) :] = np.frombuffer(_CRLF, np.uint8)
    return data.data[len(_CRLF) :]
