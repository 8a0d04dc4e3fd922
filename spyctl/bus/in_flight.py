"""What was sent and is not yet acknowledged, in order, and the counts of what was delivered."""

import asyncio
from collections import Counter, deque
from dataclasses import dataclass, field
from itertools import compress
from typing import Protocol

import numpy as np

from spyctl.bus.checkpoint import BEGINNING, Checkpoint
from spyctl.market.encode import EncodedBatch
from spyctl.summary import DeliveryFigures
from spyctl.timing.clock import Clock, SystemClock
from spyctl.timing.histogram import Histogram, Percentiles

MEASURE_NS = 100_000
_WORTH = 4  # such a part of the bound is sent at once, where more waits to be sent: each piece has its price


@dataclass(slots=True)
class Delivery:
    """What has been delivered so far; written by the publisher alone."""

    published: int = 0
    acked: int = 0
    duplicates: int = 0
    reordered: int = 0
    resent: int = 0
    reconnects: int = 0
    refusals: Counter[str] = field(default_factory=Counter)  # answers that an event is not stored, by its text
    ranks: set[int] = field(default_factory=set)  # of what was published
    lost: int = 0  # acknowledged, but at the end not in the stream
    expired: int = 0  # fell out of the stream by its own limits
    known: int = 0  # not stored again, since an earlier run has stored the same event
    payload_bytes: int = 0
    first_seq: int | None = None
    last_seq: int | None = None
    ack_ns: Histogram = field(default_factory=Histogram)

    def stored(self, first_seq: int, last_seq: int) -> None:
        """Widen the span of sequences under which events were stored."""
        self.first_seq = min(self.first_seq or first_seq, first_seq)
        self.last_seq = max(self.last_seq or 0, last_seq)

    def figures(self, acknowledged: str, stream: str | None) -> DeliveryFigures:
        """Return a copy for a summary; ``acknowledged`` is the ack mode, ``stream`` ``None`` where there is none."""
        return DeliveryFigures(
            acknowledged=acknowledged,
            unacknowledged=self.published - self.acked,
            stream=stream,
            first_seq=self.first_seq,
            last_seq=self.last_seq,
            payload_bytes=self.payload_bytes,
            resent=self.resent,
            refusals=dict(self.refusals),
            reconnects=self.reconnects,
            lost=self.lost,
            expired=self.expired,
            ack_ms=Percentiles.of(self.ack_ns),
        )


class Sink(Protocol):
    """Where a run's events go: the publisher, or standard output."""

    delivery: Delivery

    @property
    def protocol(self) -> str: ...

    async def publish(self, batch: EncodedBatch) -> None: ...

    async def drain(self) -> None: ...


@dataclass(slots=True, eq=False)
class Chunk:
    """Events sent together: the position of the first, their bytes, when they were first sent (monotonic ns)."""

    first: int
    batch: EncodedBatch
    sent_ns: int
    end: int  # the position behind the last event
    waiting: bytearray  # 1 for each event that is not acknowledged
    sizes: list[int]
    left: int

    @property
    def since_ns(self) -> int:
        """From when on its acknowledgement is measured: its arrival, where it came from a feed."""
        return self.batch.received_ns or self.sent_ns

    def event(self, position: int) -> EncodedBatch:
        """Return the event at a position, alone."""
        return self.batch[position - self.first : position - self.first + 1]

    @classmethod
    def of(cls, first: int, batch: EncodedBatch, sent_ns: int) -> "Chunk":
        """Make a chunk none of whose events is acknowledged yet."""
        count = len(batch)
        return cls(first, batch, sent_ns, first + count, bytearray(b"\1") * count, batch.lengths.tolist(), count)


@dataclass(slots=True)
class _Ends:
    # The position acknowledged last, and where its event is; the same of the last event whose sequence is known.
    last: tuple[int, Chunk] | None = None
    placed: tuple[Checkpoint, Chunk] | None = None


class InFlight:
    """The events that were sent and not yet acknowledged, oldest first; bounded in number and bytes.

    ``anchor`` is the checkpoint up to which every event is known to be stored. ``receded`` says that an event got a
    sequence that an earlier one had: the server has lost what it acknowledged, and the anchor stays where it is.
    """

    def __init__(
        self,
        max_messages: int,
        max_bytes: int,
        delivery: Delivery,
        anchor: Checkpoint = BEGINNING,
        clock: Clock | None = None,
    ) -> None:
        self.max_messages = max_messages
        self.max_bytes = max_bytes
        self.delivery = delivery
        self.clock = clock or SystemClock()
        self.count = 0
        self.size = 0
        self.moved = asyncio.Event()  # set when something was acknowledged, or waiting has become pointless
        self.progress_ns = self.clock.now_ns()  # when an event was last acknowledged
        self.anchor = anchor
        self.receded = False
        self._chunks: deque[Chunk] = deque()
        self._measured = (0, 0)  # acknowledgements not measured yet, and when the last ones were
        self._began_after = anchor.seq
        self._newest = anchor  # the highest position acknowledged, and its sequence
        self._ends = _Ends()

    def room(self, batch: EncodedBatch) -> int:
        """Return how many of these events may be sent now; the last one may exceed the bound on bytes."""
        count = max(0, min(len(batch), self.max_messages - self.count))
        sizes = self.size + np.cumsum(batch.lengths[:count], dtype=np.int64)
        return min(count, int(np.searchsorted(sizes, self.max_bytes)) + 1) if self.size < self.max_bytes else 0

    def has_room(self, batch: EncodedBatch) -> bool:
        """Whether as many may be sent now as is worth the trouble: all of them, or a good part of the bound."""
        room = self.room(batch)
        return room == len(batch) or room > self.max_messages // _WORTH or (room > 0 and not self.count)

    def add(self, chunk: Chunk) -> None:
        """Keep events until they are acknowledged."""
        if not self._chunks:
            self.progress_ns = chunk.sent_ns  # nothing was awaited until now
        self._chunks.append(chunk)
        self.count += len(chunk.batch)
        self.size += sum(chunk.sizes)

    @property
    def has_hole(self) -> bool:
        """Whether a later event is acknowledged than one that is still waited for."""
        return self.oldest is not None and self.oldest < self._newest.position

    def last_acknowledged(self, position: int) -> EncodedBatch | None:
        """Return the event at a position, alone, where it was acknowledged last."""
        last = self._ends.last
        return last[1].event(position) if last is not None and last[0] == position else None

    @property
    def placed(self) -> tuple[Checkpoint, EncodedBatch] | None:
        """The last acknowledged event whose very sequence is known, alone, and where it is stored."""
        placed = self._ends.placed
        return (placed[0], placed[1].event(placed[0].position)) if placed is not None else None

    def close_at(self, checkpoint: Checkpoint) -> None:
        """Note that all up to a checkpoint is stored, the last event under its very sequence."""
        self.anchor = checkpoint
        last = self._ends.last
        if last is not None and last[0] == checkpoint.position:
            self._ends.placed = checkpoint, last[1]

    @property
    def sent_through(self) -> int:
        """The position of the last event in flight, 0 where there is none."""
        return self._chunks[-1].end - 1 if self._chunks else 0

    @property
    def oldest_ns(self) -> int | None:
        """When the event that has waited longest was first sent, if there is one."""
        return self._chunks[0].sent_ns if self._chunks else None

    @property
    def oldest(self) -> int | None:
        """The position of the event that has waited longest, if there is one."""
        return self._chunks[0].first + self._chunks[0].waiting.index(1) if self._chunks else None

    def unacknowledged(self, first: int = 0) -> list[Chunk]:
        """Return all from a position on that is unacknowledged, in order, as chunks of consecutive events."""
        chunks = []
        for chunk in self._chunks:
            if chunk.end <= first:
                continue
            waiting = chunk.waiting[:]
            waiting[: max(0, first - chunk.first)] = bytes(max(0, first - chunk.first))
            edges = np.flatnonzero(np.diff(np.array([0, *waiting, 0])))
            for start, end in edges.reshape(-1, 2).tolist():
                chunks.append(Chunk.of(chunk.first + start, chunk.batch[start:end], chunk.sent_ns))
        return chunks

    def acknowledge(self, position: int, seq: int, *, duplicate: bool = False, known: bool = False) -> None:
        """Note that the stream holds an event under ``seq``; saying so twice changes nothing.

        ``duplicate`` tells that it was stored before: by us, unless it is ``known`` that we had not sent it yet.
        """
        for chunk in self._chunks:
            if chunk.first <= position < chunk.end:
                break
        else:
            return
        i = position - chunk.first
        if not chunk.waiting[i]:
            return
        chunk.waiting[i] = 0
        self.delivery.duplicates += duplicate
        self._settled(chunk, 1, chunk.sizes[i])
        if duplicate and (known or seq <= self._began_after):
            self.delivery.known += 1
            return
        newest = self._newest
        if (position > newest.position) != (seq > newest.seq):
            self.delivery.reordered += 1  # a later event was stored before this one
        if position > newest.position:
            self.receded = self.receded or seq <= newest.seq
            self._newest = Checkpoint(position, seq)
        self.delivery.stored(seq, seq)
        if self.receded:
            return
        if position > newest.position:
            self._ends.last, self._ends.placed = (position, chunk), (self._newest, chunk)
        if self.anchor.position == position - 1 == newest.position:
            self.anchor = self._newest  # nearly always: in order, nothing missing before it
        elif self.oldest is None or self.oldest > self._newest.position:
            self.anchor = self._newest

    def acknowledge_through(self, position: int) -> None:
        """Note that the stream holds every event up to a position, in order."""
        while self._chunks and self._chunks[0].first <= position:
            chunk = self._chunks[0]
            done = min(position + 1 - chunk.first, len(chunk.sizes))
            start = max(0, chunk.waiting.find(1))
            sizes, count = chunk.sizes[start:done], chunk.waiting.count(1, start, done)
            if count < len(sizes):
                sizes = list(compress(sizes, chunk.waiting[start:done]))
            chunk.waiting[start:done] = bytes(max(0, done - start))
            self._ends.last = chunk.first + done - 1, chunk
            self._settled(chunk, count, sum(sizes))
            if chunk.left:
                break

    def _settled(self, chunk: Chunk, count: int, size: int) -> None:
        if not count:
            return
        self.progress_ns = self.clock.now_ns()
        self.count -= count
        self.size -= size
        chunk.left -= count
        self.delivery.acked += count
        unmeasured, measured_ns = self._measured[0] + count, self._measured[1]
        if self.progress_ns - measured_ns > MEASURE_NS or not chunk.left:
            # Acknowledgements that arrive together are measured together.
            self.delivery.ack_ns.add(self.progress_ns - chunk.since_ns, unmeasured)
            unmeasured, measured_ns = 0, self.progress_ns
        self._measured = unmeasured, measured_ns
        if not chunk.left:
            self._chunks.remove(chunk)
        self.moved.set()
