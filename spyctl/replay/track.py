"""What a replay has played, segment by segment.

One equation holds for each of them, and for the run: every record read is published, rejected, held until it is due, or
was read ahead and left behind by a jump.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from spyctl.bus.in_flight import Delivery
from spyctl.market.digest import Digest, new_digest
from spyctl.market.encode import EncodedBatch
from spyctl.replay.pieces import Stretch
from spyctl.replay.segments import Journal, Segment
from spyctl.replay.source import Reading
from spyctl.timing.instants import utc_text


@dataclass(slots=True)
class Played:
    """One segment as far as this process has played it.

    ``published`` counts events, ``prelude`` the reset and the seeds before them. ``skipped`` events were read ahead
    when it jumped away.
    """

    segment: Segment
    stretch: Stretch
    with_digest: bool = True
    published: int = 0
    prelude: int = 0
    skipped: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    _digest: Digest | None = field(init=False)
    _begun: tuple[int, int] = field(init=False)
    _readings: int = field(init=False)  # those before it
    _ended: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        self._digest = new_digest() if self.with_digest else None
        self._begun = self._counts
        self._readings = len(self.stretch.reading.counts)

    @property
    def _counts(self) -> tuple[int, int]:
        reading = self.stretch.reading
        return reading.read, sum(reading.rejected.values())

    @property
    def read(self) -> int:
        """Records read, without those of events that an earlier process has published."""
        return (self._ended or self._counts)[0] - self._begun[0] - self.stretch.skipped

    @property
    def rejected(self) -> int:
        """Records that are not events."""
        return (self._ended or self._counts)[1] - self._begun[1]

    @property
    def held(self) -> int:
        """Events read and sorted, but not yet due."""
        return self.read - self.rejected - self.published - self.skipped

    @property
    def digest(self) -> str | None:
        """The hash of its payloads, each followed by a newline; ``None`` where none is computed."""
        return self._digest.hexdigest() if self._digest is not None else None

    def add(self, piece: EncodedBatch) -> None:
        """Count events that were published."""
        self.published += len(piece)
        self.first_ns = self.first_ns if self.first_ns is not None else int(piece.sort_ns[0])
        self.last_ns = int(piece.sort_ns[-1])
        self._hash(piece)

    def add_prelude(self, piece: EncodedBatch) -> None:
        """Count a reset and seeds that were published."""
        self.prelude += len(piece)
        self._hash(piece)

    def end_at(self, event_ns: int) -> None:
        """Note that it is played no further than an event time: what was rejected behind it was only read ahead."""
        self.stretch.reading.forget_rejects(event_ns, self._readings)

    def leave(self, event_ns: int) -> None:
        """Note that the replay jumps away from an event time: what is held is skipped."""
        self.end_at(event_ns)
        self._ended = self._counts
        self.skipped = self.held

    def document(self) -> dict[str, Any]:
        """Return it as a summary shows it."""
        segment = self.segment
        return {
            "segment": segment.number,
            "reason": segment.reason,
            "first_position": segment.first,
            "from_ns": segment.cursor.sort_ns or self.first_ns,
            "first_event_utc": utc_text(self.first_ns) if self.first_ns is not None else None,
            "last_event_utc": utc_text(self.last_ns) if self.last_ns is not None else None,
            "read": self.read,
            "published": self.published,
            "rejected": self.rejected,
            "held": self.held,
            "skipped": self.skipped,
            "seeds": segment.seeds,
            "digest": self.digest,
        }

    def _hash(self, piece: EncodedBatch) -> None:
        if self._digest is not None:
            self._digest.update(piece.lines())


_SHOWN = 100  # segments


class Track:
    """What a replay has played so far, in all its segments; ``played`` are the last of them.

    ``base`` is how many messages an earlier process has published; ``journal`` tells of all segments of the run.
    """

    def __init__(
        self, reading: Reading, delivery: Delivery, journal: Journal, base: int = 0, *, with_digest: bool = True
    ) -> None:
        self.reading = reading
        self.journal = journal
        self.base = base
        self.played: deque[Played] = deque(maxlen=_SHOWN)
        self.segments = 0
        self.resets = 0
        self.seeds = 0
        self._delivery = delivery
        self._with_digest = with_digest
        self._left = _Sums()  # of all segments but the current one
        self._sending: tuple[EncodedBatch, int] | None = None  # a piece, and how much was published before it

    @property
    def position(self) -> int:
        """The position of the last message that was published."""
        return self.base + self._delivery.published

    @property
    def resumed_at(self) -> int:
        """Events that an earlier process has published."""
        return self.journal.events_before(self.base)

    @property
    def current(self) -> Played:
        """The segment that is played."""
        return self.played[-1]

    def begin(self, segment: Segment, stretch: Stretch) -> None:
        """Note that a segment begins; the one before has been left."""
        if self.played:
            self._left.add(self.current)
        self.played.append(Played(segment, stretch, self._with_digest))
        self.segments += 1

    @contextmanager
    def sending(self, piece: EncodedBatch) -> Iterator[None]:
        """Count the events of a piece while it is published."""
        self._sending = piece, self._delivery.published
        yield
        self._sending = None
        self.current.add(piece)

    def add_prelude(self, piece: EncodedBatch) -> None:
        """Count a reset and seeds that were published."""
        self.current.add_prelude(piece)
        resets = int(self.current.segment.reason is not None and self.current.prelude == len(piece))
        self.resets += resets
        self.seeds += len(piece) - resets

    @property
    def on_its_way(self) -> EncodedBatch | None:
        """The events of the current piece that are published already."""
        if self._sending is None:
            return None
        piece, before = self._sending
        return piece[: self._delivery.published - before]

    @property
    def published(self) -> int:
        """Events published, without resets and seeds."""
        piece = self.on_its_way
        return self._left.published + self.current.published + (len(piece) if piece is not None else 0)

    @property
    def acked(self) -> int:
        """Events acknowledged, without resets and seeds."""
        return max(0, min(self.published, self._delivery.acked - self.resets - self.seeds))

    @property
    def read(self) -> int:
        """Records read."""
        return self._left.read + self.current.read

    @property
    def skipped(self) -> int:
        """Events read ahead and left behind by a jump."""
        return self._left.skipped + self.current.skipped

    @property
    def held(self) -> int:
        """Events read and sorted, but not yet due."""
        piece = self.on_its_way
        return self.current.held - (len(piece) if piece is not None else 0)

    @property
    def digest(self) -> str | None:
        """The hash of all payloads; ``None`` where none is computed, and after a jump."""
        return self.current.digest if self.segments == 1 else None


@dataclass(slots=True)
class _Sums:
    read: int = 0
    published: int = 0
    skipped: int = 0

    def add(self, played: Played) -> None:
        self.read += played.read
        self.published += played.published
        self.skipped += played.skipped
