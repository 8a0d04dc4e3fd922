"""The lines of a tape → columns and payloads, many lines at once.

A payload is cut out of its line as it is, so what is played is what was stored, to the byte. A line written by
:func:`spyctl.market.lines.json_lines` is read by the places of its bytes; any other that says the same goes through a
JSON parser, and what is neither is named with the reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from spyctl.market.lines import StreamMessage
from spyctl.market.texts import Bytes, Texts
from spyctl.timing.instants import is_instant

UNKNOWN = -1  # a sequence or a stored time that a line does not have
_WINDOW = 224  # bytes of a line that are looked at; a longer head is left to the parser
_SEQ, _SUBJECT, _STORED, _EVENT = b'{"seq":', b',"subject":"', b'","stored_ns":', b',"event":'
_TS_EVENT, _TS_RECV = b'{"ts_event_ns":', b',"ts_recv_ns":'
_DIGITS = 19  # of an instant from 2001 on
_POWERS = 10 ** np.arange(_DIGITS - 1, -1, -1, dtype=np.int64)
_MOST_SEQ = 18  # digits
_ODD = 255  # the rank of a line that is not read yet, or holds no event

Int64s = NDArray[np.int64]


class BadLine(NamedTuple):
    """A line that holds no event of ours: its place in the text, why, and its sequence where it has one."""

    offset: int
    reason: str
    seq: int = UNKNOWN


@dataclass(slots=True)
class Lines:
    """Messages in the order of their lines.

    Message i is ``text[starts[i]:ends[i]]`` on the subject that ``ranks[i]`` indexes. ``seq`` and ``stored_ns`` are
    :data:`UNKNOWN` where a line does not say them. ``bad`` are the lines that are left out.
    """

    text: bytes
    starts: NDArray[np.intp]
    ends: NDArray[np.intp]
    ranks: NDArray[np.uint8]
    seq: Int64s
    stored_ns: Int64s
    ts_event_ns: Int64s
    ts_recv_ns: Int64s
    bad: list[BadLine]

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, wanted: "slice | NDArray[np.bool_] | NDArray[np.intp]") -> "Lines":
        """Return some of the messages, or all in another order; the bad lines stay behind."""
        return Lines(
            self.text,
            self.starts[wanted],
            self.ends[wanted],
            self.ranks[wanted],
            self.seq[wanted],
            self.stored_ns[wanted],
            self.ts_event_ns[wanted],
            self.ts_recv_ns[wanted],
            [],
        )

    def payloads(self) -> list[bytes]:
        """Return the payloads one by one."""
        text = self.text
        return [text[start:end] for start, end in zip(self.starts.tolist(), self.ends.tolist(), strict=True)]

    def texts(self) -> Texts:
        """Return the payloads as texts, where they are."""
        return Texts(np.frombuffer(self.text, np.uint8), self.starts, self.ends - self.starts)

    def messages(self, subjects: Sequence[str]) -> list[StreamMessage]:
        """Return the messages one by one; ``subjects`` is the table that the ranks index."""
        columns = (self.seq.tolist(), self.ranks.tolist(), self.stored_ns.tolist(), self.payloads())
        return [
            StreamMessage(seq, subjects[rank], stored_ns, payload, 0)
            for seq, rank, stored_ns, payload in zip(*columns, strict=True)
        ]


def read_lines(text: bytes, subjects: tuple[str, ...]) -> Lines:
    """Read whole lines, each with a newline at its end; ``subjects`` are those that may come, the index is the rank."""
    buffer = np.frombuffer(text + bytes(_WINDOW), np.uint8)
    ends = np.flatnonzero(buffer == ord("\n"))
    starts = np.concatenate([np.zeros(1, np.intp), ends[:-1] + 1])[: len(ends)]
    count = len(starts)
    lines = Lines(
        text,
        starts.copy(),
        ends - 1,  # without the brace that closes the line
        np.full(count, _ODD, np.uint8),
        np.full(count, UNKNOWN, np.int64),
        np.full(count, UNKNOWN, np.int64),
        np.full(count, UNKNOWN, np.int64),
        np.full(count, UNKNOWN, np.int64),
        [],
    )
    if count:
        heads = np.lib.stride_tricks.sliding_window_view(buffer, _WINDOW)[starts]
        closed = (buffer[ends - 1] == ord("}")) & (buffer[ends - 2] == ord("}"))
        _read_by_places(lines, heads, closed, subjects)
    odd = np.flatnonzero(lines.ranks == _ODD)
    for i in odd.tolist():
        _parse_into(lines, i, int(starts[i]), int(ends[i]), subjects)
    if lines.bad:
        kept = lines[lines.ranks != _ODD]
        kept.bad = lines.bad
        return kept
    return lines


def _read_by_places(lines: Lines, heads: Bytes, closed: NDArray[np.bool_], subjects: tuple[str, ...]) -> None:
    # Lines whose sequence and subject have the same lengths have everything at the same places.
    at = len(_SEQ)
    seq_digits = (heads[:, at : at + _MOST_SEQ + 1] == ord(",")).argmax(axis=1)
    lengths = {len(subject) for subject in subjects}
    for digits in np.unique(seq_digits).tolist():
        if not digits:
            continue
        subject_at = at + digits + len(_SUBJECT)
        of_digits = seq_digits == digits
        quotes = (heads[:, subject_at : subject_at + max(lengths) + 1] == ord('"')).argmax(axis=1)
        for length in lengths:
            places = np.flatnonzero(of_digits & (quotes == length) & closed)
            if len(places):
                _read_group(lines, places, heads[places], digits, length, subjects)


class _Form(NamedTuple):
    # What the head of a line looks like: the bytes that are always there, and where the rest is.
    literal: NDArray[np.intp]
    expected: Bytes
    subject: int
    stored: int
    payload: int
    ts_event: int
    ts_recv: int

    @property
    def end(self) -> int:
        return self.ts_recv + _DIGITS + 1


@cache
def _form(seq_digits: int, subject_length: int) -> _Form:
    subject = len(_SEQ) + seq_digits + len(_SUBJECT)
    stored = subject + subject_length + len(_STORED)
    payload = stored + _DIGITS + len(_EVENT)
    ts_event = payload + len(_TS_EVENT)
    ts_recv = ts_event + _DIGITS + len(_TS_RECV)
    blank, instant = b"\0" * seq_digits, b"\0" * _DIGITS
    head = _SEQ + blank + _SUBJECT + b"\0" * subject_length + _STORED + instant + _EVENT
    head += _TS_EVENT + instant + _TS_RECV + instant + b","
    expected = np.frombuffer(head, np.uint8)
    literal = np.flatnonzero(expected)
    return _Form(literal, expected[literal], subject, stored, payload, ts_event, ts_recv)


def _read_group(
    lines: Lines, places: NDArray[np.intp], heads: Bytes, digits: int, length: int, subjects: tuple[str, ...]
) -> None:
    form = _form(digits, length)
    if form.end > _WINDOW:
        return
    good = (heads[:, form.literal] == form.expected).all(axis=1)
    seq, fine = _numbers(heads[:, len(_SEQ) : len(_SEQ) + digits])
    good &= fine
    instants = []
    for at in (form.stored, form.ts_event, form.ts_recv):
        numbers, fine = _numbers(heads[:, at : at + _DIGITS])
        instants.append(numbers)
        good &= fine
    ranks = np.full(len(places), _ODD, np.uint8)
    for rank, subject in enumerate(subjects):
        if len(subject) == length:
            name = np.frombuffer(subject.encode(), np.uint8)
            ranks[(heads[:, form.subject : form.subject + length] == name).all(axis=1)] = rank
    places, good = places[good], good.nonzero()[0]
    lines.ranks[places] = ranks[good]
    lines.starts[places] += form.payload
    lines.seq[places] = seq[good]
    for column, numbers in zip((lines.stored_ns, lines.ts_event_ns, lines.ts_recv_ns), instants, strict=True):
        column[places] = numbers[good]


def _numbers(text: Bytes) -> tuple[Int64s, NDArray[np.bool_]]:
    # Numbers of as many digits as there are columns, and which of them are that: no sign, no zero before, 64 bits.
    digits = text - ord("0")
    good = (digits <= 9).all(axis=1) & (digits[:, 0] > 0)
    if text.shape[1] == _DIGITS:
        good &= digits[:, 0] < 9
    return digits.astype(np.int64) @ _POWERS[-text.shape[1] :], good


def _parse_into(lines: Lines, i: int, start: int, end: int, subjects: tuple[str, ...]) -> None:
    # Reads one line that has another form; leaves it odd, with the reason, where it holds no event.
    line = lines.text[start:end]
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        lines.bad.append(BadLine(start, f"not JSON ({str(error).partition(':')[0]})"))
        return
    reason, payload = _payload_of(document, line)
    if payload is None:
        lines.bad.append(BadLine(start, reason, _instant_in(document, "seq")))
        return
    subject, event = document["subject"], document["event"]
    if subject not in subjects:
        lines.bad.append(
            BadLine(start, f"subject {str(subject)[:60]!r} is not one of this tape", _instant_in(document, "seq"))
        )
        return
    lines.starts[i], lines.ends[i] = start + payload[0], start + payload[1]
    lines.ranks[i] = subjects.index(subject)
    lines.seq[i], lines.stored_ns[i] = _instant_in(document, "seq"), _instant_in(document, "stored_ns")
    lines.ts_event_ns[i], lines.ts_recv_ns[i] = event["ts_event_ns"], event["ts_recv_ns"]


def _instant_in(document: Any, key: str) -> int:
    value = document.get(key) if isinstance(document, dict) else None
    return value if is_instant(value) else UNKNOWN


def _payload_of(document: Any, line: bytes) -> tuple[str, tuple[int, int] | None]:
    # Where in a line the bytes of its event are; else why there are none.
    if not isinstance(document, dict) or not isinstance(document.get("subject"), str):
        return "not a line of an event: it names no subject", None
    if "undecoded" in document:
        return "a message that was no event when it was recorded", None
    event = document.get("event")
    if not isinstance(event, dict) or not (
        is_instant(event.get("ts_event_ns")) and is_instant(event.get("ts_recv_ns"))
    ):
        return "its event has no times", None
    start, end = line.find(b'"event":') + len(b'"event":'), line.rfind(b"}")
    while line[start : start + 1] in (b" ", b"\t"):
        start += 1
    try:
        cut = orjson.loads(line[start:end])
    except orjson.JSONDecodeError:
        cut = None
    if cut != event or list(document)[-1] != "event":
        return "its event is not the last thing in the line", None
    return "", (start, start + len(line[start:end].rstrip()))


NO_LINES = read_lines(b"", ())
