"""Canonical columns → the bytes that are published, a whole batch at a time.

The bytes are those of ``orjson.dumps(event)``; the compiled kernel writes them, or :mod:`spyctl.market.event_texts`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spyctl.market import kernel
from spyctl.market.columns import EVENT_TYPES, SCHEMAS, Batch, Rows, taken
from spyctl.market.event_texts import book_texts, literals, trade_texts
from spyctl.market.events import BOOK_DEPTH
from spyctl.market.subjects import rank_of, subject_of
from spyctl.market.texts import Placeable, Places, Texts

PIECE = 4096  # events encoded at once: a millisecond or two, so that a paced replay is never held up for long

_TRADE_RANK, _BOOK_RANK = (rank_of(subject_of(EVENT_TYPES[schema])) for schema in SCHEMAS)


@dataclass(slots=True)
class EncodedBatch:
    """Events ready to be published, in order.

    ``texts`` are the JSON of the events. ``ranks`` index the table
    :data:`spyctl.market.subjects.SUBJECTS`, ``sort_ns`` are the times that pacing follows and ``late`` marks
    events whose ``ts_event`` lies outside the reorder window. ``ids`` are message ids where events bring their own
    (else ``None``). ``received_ns`` (monotonic) is when the oldest of them arrived, 0 for events from a file.
    """

    texts: Texts
    ranks: NDArray[np.uint8]
    sort_ns: NDArray[np.int64]
    late: NDArray[np.bool_]
    ids: Texts | None = None
    received_ns: int = 0

    def __len__(self) -> int:
        return len(self.ranks)

    def __getitem__(self, wanted: "slice | Places") -> "EncodedBatch":
        return EncodedBatch(
            self.texts[wanted],
            self.ranks[wanted],
            self.sort_ns[wanted],
            self.late[wanted],
            self.ids[wanted] if self.ids is not None else None,
            self.received_ns,
        )

    @property
    def lengths(self) -> Places:
        """How many bytes each payload has."""
        return self.texts.lengths

    def lines(self) -> memoryview:
        """Return all payloads, each followed by a newline."""
        return self.texts.lines()

    def last_payload(self, rank: int) -> bytes:
        """Return the payload of the last event with a rank; there must be one."""
        return self.payload(int(np.flatnonzero(self.ranks == rank)[-1]))

    def payload(self, i: int) -> bytes:
        """Return the payload of one event."""
        return self.texts[i : i + 1].single()[0]

    def payloads(self) -> list[bytes]:
        """Return the payloads one by one."""
        return self.texts.single()


def encode_batch(batch: Batch) -> Iterator[EncodedBatch]:
    """Yield the events of a batch as bytes, in even pieces of bounded size; an empty batch gives an empty piece."""
    is_book, sort_ns, late = batch.is_book(), batch.column("sort_ns"), batch.column("late")
    ranks = np.where(is_book, np.uint8(_BOOK_RANK), np.uint8(_TRADE_RANK))
    for piece in even_pieces(len(batch)):
        yield EncodedBatch(_encode(batch, piece, is_book[piece]), ranks[piece], sort_ns[piece], late[piece])


def even_pieces(count: int) -> Iterator[slice]:
    """Cut so many events into even pieces, as few as :data:`PIECE` allows; an empty one where there are none."""
    pieces = max(1, -(-count // PIECE))
    return (slice(i * count // pieces, (i + 1) * count // pieces) for i in range(pieces))


def encoded_events(
    payloads: Sequence[bytes], ranks: Sequence[int], ids: Sequence[bytes] | None = None, received_ns: int = 0
) -> EncodedBatch:
    """Wrap the bytes of single events; nothing is late, and nothing is paced."""
    none = np.zeros(len(payloads), np.int64)
    return EncodedBatch(
        Texts.of(payloads, b"\n"),
        np.array(ranks, np.uint8),
        none,
        none.astype(bool),
        Texts.of(ids) if ids is not None else None,
        received_ns,
    )


NOTHING_YET = encoded_events([], [])  # what a source gives, this very object, while it waits for more


def _encode(batch: Batch, piece: slice, is_book: NDArray[np.bool_]) -> Texts:
    compiled = kernel.encoder().kernel
    texts = _compiled(compiled, batch, batch.order[piece], is_book) if compiled is not None else None
    return texts if texts is not None else _gathered(batch, batch.order[piece], is_book)


def _compiled(compiled: kernel.Kernel, batch: Batch, order: Places, is_book: NDArray[np.bool_]) -> Texts | None:
    # Nothing where the kernel leaves the events to us.
    symbols, between, books = batch.names.as_json(), literals(batch.source), np.count_nonzero(is_book)
    trade, level, book = (sum(map(len, texts)) + kernel.NUMBER_BYTES * len(texts) for texts in between)
    room = (len(order) - books) * trade + books * (trade + book + BOOK_DEPTH * level) + len(order) * symbols.itemsize
    data = np.empty(room + compiled.ROOM + symbols.itemsize, np.uint8)
    ends = np.empty(len(order), np.intp)
    flat = (*between.trade, *between.level, *between.book)
    written = compiled.encode(*batch.parts, order, symbols, symbols.itemsize, flat, data, ends)
    if written < 0:
        return None
    data.resize(written, refcheck=False)
    starts = np.empty_like(ends)
    starts[:1], starts[1:] = 0, ends[:-1]
    return Texts(data, starts, ends - starts - 1)  # a newline lies behind each


def _gathered(batch: Batch, order: Places, is_book: NDArray[np.bool_]) -> Texts:
    trades, books = batch.parts
    kinds: list[tuple[Places, Placeable]] = []
    if len(order) and not is_book.all():
        rows = _taken(trades, order[~is_book])
        kinds.append((np.flatnonzero(~is_book), trade_texts(rows, batch.names, batch.source)))
    if is_book.any():
        rows = _taken(books, order[is_book] - len(trades))
        kinds.append((np.flatnonzero(is_book), book_texts(rows, batch.names, batch.source)))
    lengths = np.zeros(len(order), np.intp)
    for numbers, texts in kinds:
        lengths[numbers] = texts.lengths
    starts = np.cumsum(lengths) - lengths
    data = np.empty(int(lengths.sum()), np.uint8)
    for numbers, texts in kinds:
        texts.place(data, starts[numbers])
    return Texts(data, starts, lengths - 1)  # a newline lies behind each


def _taken(rows: Rows, numbers: Places) -> Rows:
    first, count = int(numbers[0]), len(numbers)
    if int(numbers[-1]) - first == count - 1 and (np.diff(numbers) == 1).all():
        return rows[first : first + count]  # nearly always
    return taken(rows, numbers)
