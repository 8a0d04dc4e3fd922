"""Gaps as everybody learns of them: a note, and a record in the stream."""

from spyctl.live.gaps import Gaps
from spyctl.live.note_log import NoteLog
from spyctl.live.pending import Pending
from spyctl.live.sender import Sender
from spyctl.market.events import EventSource, Gap
from spyctl.market.subjects import encode, subject_of
from spyctl.timing.clock import Clock
from spyctl.timing.instants import SECOND


class GapRecords:
    """Opens and closes the gaps of a run, and tells of each change; instants are Unix ns."""

    def __init__(self, source: EventSource, sender: Sender, notes: NoteLog, clock: Clock) -> None:
        self.gaps = Gaps(source)
        self._sender = sender
        self._notes = notes
        self._clock = clock

    def open(self, feed: str, from_ns: int, reason: str) -> None:
        """Open the gap of a feed, unless it is open."""
        gap = self.gaps.open(feed, from_ns, self._clock.time_ns(), reason)
        if gap is not None:
            self._notes.warn(f"gap {feed}: open ({reason})")
            self._publish(gap)

    def close(self, feed: str, to_ns: int, events: int | None = None) -> Gap | None:
        """Close the gap of a feed and return it; ``None`` where none was open. ``events`` are missing."""
        gap = self.gaps.close(feed, to_ns, self._clock.time_ns(), events)
        if gap is not None:
            self._notes.info(f"gap {feed} {((gap.to_ns or to_ns) - gap.from_ns) / SECOND:.3f} s: closed ({gap.reason})")
            self._publish(gap)
        return gap

    def _publish(self, gap: Gap) -> None:
        identity = f"G.{gap.gap_id}.{'open' if gap.to_ns is None else 'closed'}"
        self._sender.append(Pending(encode(gap), identity, subject_of(gap), "", self._clock.now_ns()))
