"""Whole NATS protocol messages from encoded events, without touching single ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from spyctl.market.byte_rows import Bytes, Part, blank, byte_rows, fill_ints, int_slots, joined, layout
from spyctl.market.encode import EncodedBatch

Ints = np.ndarray[tuple[int], np.dtype[np.int64]]
_CRLF = b"\r\n"


def pub_frames(batch: EncodedBatch, subjects: Sequence[str], reply: str, first: int, tail: str) -> bytearray:
    """Frame events as ``PUB <subject> <reply><first, first + 1, …><tail> <size>``.

    ``subjects`` is the table that the ranks of the events index.
    """
    parts: list[Part] = [b" " + reply.encode(), *int_slots("number", wide=True), tail.encode() + b" "]
    rows = _head(batch, b"PUB ", subjects, [*parts, *int_slots("size", wide=True), _CRLF])
    fill_ints(rows, "number", _numbers(batch, first), wide=True)
    fill_ints(rows, "size", batch.lengths, wide=True)
    return _framed(byte_rows(rows), batch)


def hpub_frame(batch: EncodedBatch, subjects: Sequence[str], reply: str, lines: bytes) -> bytes:
    """Frame the one event of a batch as ``HPUB <subject> <reply>``, with the ``lines`` of a header."""
    payload, header = bytes(batch.lines())[:-1], b"NATS/1.0\r\n" + lines + _CRLF
    head = f"HPUB {subjects[batch.ranks[0]]} {reply} {len(header)} {len(header) + len(payload)}\r\n"
    return b"".join((head.encode(), header, payload, _CRLF))


def hpub_frames(
    batch: EncodedBatch, subjects: Sequence[str], reply: str, first: int, message_id: str, *, more: bytes = b""
) -> bytearray:
    """Frame events as ``HPUB <subject> <reply><first, …>`` with the header ``Nats-Msg-Id``.

    That is the event's own id where the batch brings ids, else ``<message_id><first, …>``. ``more`` are further lines
    of the header.
    """
    numbers = _numbers(batch, first)
    if batch.ids is None:
        prefix, id_slots = message_id.encode(), int_slots("id", wide=True)
        id_lengths = np.searchsorted(10 ** np.arange(1, 10), numbers, side="right") + 1
    else:
        prefix, id_slots = b"", [("id", f"S{batch.ids.shape[1]}")]
        id_lengths = (batch.ids != 0).sum(axis=1)
    before, behind = b"NATS/1.0\r\n" + more + b"Nats-Msg-Id: " + prefix, b"\r\n\r\n"
    parts: list[Part] = [
        b" " + reply.encode(),
        *int_slots("number", wide=True),
        b" ",
        *int_slots("head", wide=True),
        b" ",
    ]
    rows = _head(batch, b"HPUB ", subjects, [*parts, *int_slots("size", wide=True), _CRLF + before, *id_slots, behind])
    head = len(before) + id_lengths + len(behind)
    for name, values in (("number", numbers), ("head", head), ("size", head + batch.lengths)):
        fill_ints(rows, name, values, wide=True)
    if batch.ids is None:
        fill_ints(rows, "id", numbers, wide=True)
    else:
        rows["id"] = batch.ids.view(f"S{batch.ids.shape[1]}").ravel()
    return _framed(byte_rows(rows), batch)


def _numbers(batch: EncodedBatch, first: int) -> Ints:
    return np.arange(first, first + len(batch), dtype=np.int64)


def _head(batch: EncodedBatch, verb: bytes, subjects: Sequence[str], parts: Sequence[Part]) -> Any:
    names = np.array([subject.encode() for subject in subjects])
    rows = blank(len(batch), layout([verb, ("subject", names.dtype.str[1:]), *parts]))
    rows["subject"] = names[batch.ranks]
    return rows


def _framed(head: Bytes, batch: EncodedBatch) -> bytearray:
    return joined(head, batch.rows, end=_CRLF)
