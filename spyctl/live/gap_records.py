"""Gaps as everybody learns of them: a note, and a record in the stream."""

from collections.abc import Mapping

from spyctl.live.gaps import Gaps
from spyctl.live.note_log import NoteLog
from spyctl.live.pending import Pending
from spyctl.live.sender import Sender
from spyctl.market.events import EventSource, Gap
from spyctl.market.subjects import encode, subject_of
from spyctl.terminal.text import count
from spyctl.timing.clock import Clock
from spyctl.timing.instants import SECOND


class GapRecords:
    """Opens and closes the gaps of a run, and tells of each change; instants are Unix ns."""

    def __init__(
        self,
        source: EventSource,
        sender: Sender,
        notes: NoteLog,
        clock: Clock,
        sources: Mapping[str, EventSource] | None = None,
    ) -> None:
        self.gaps = Gaps(source, sources)
        self._sender = sender
        self._notes = notes
        self._clock = clock

    def open(self, feed: str, from_ns: int, reason: str) -> None:
        """Open the gap of a feed, unless it is open."""
        gap = self.gaps.open(feed, from_ns, self._clock.time_ns(), reason)
        if gap is not None:
            self._notes.warn(f"gap {feed}: open ({reason})")
            self._publish(gap, "open")

    def close(self, feed: str, to_ns: int, events: int | None = None) -> Gap | None:
        """Close the gap of a feed and return it; ``None`` where none was open. ``events`` are missing."""
        gap = self.gaps.close(feed, to_ns, self._clock.time_ns(), events)
        if gap is not None:
            self._notes.info(f"gap {feed} {((gap.to_ns or to_ns) - gap.from_ns) / SECOND:.3f} s: closed ({gap.reason})")
            self._publish(gap, "closed")
        return gap

    def leave_open(self, feed: str, events: int | None) -> None:
        """Leave the gap of a feed open, where one is: so many events are missing for good, or nobody knows."""
        gap = self.gaps.leave_open(feed, self._clock.time_ns(), events)
        if gap is not None:
            missing = "nobody knows how many events" if events is None else f"{count('events', events)} or more"
            self._notes.warn(f"gap {feed}: stays open, {missing} were not sent again")
            self._publish(gap, "short")

    def _publish(self, gap: Gap, state: str) -> None:
        identity = f"G.{gap.gap_id}.{state}"
        self._sender.append(Pending(encode(gap), identity, subject_of(gap), "", self._clock.now_ns()))
