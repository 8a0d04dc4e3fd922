"""Gaps: what is missing upstream, told as records that open and close.

:data:`TRANSITIONS` is the life of a feed's gaps: one opens, is known already while it is open, and closes under the
same id. Only a change of state makes a record. Where a vendor sends again what was missing, but not all, the gap is
settled: its record stays open, with the number of events, and the next loss is another gap.
"""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

from spyctl.market.events import EventSource, Gap

RECENT = 10


class GapState(StrEnum):
    """Whether something of a feed is missing."""

    CLOSED = "closed"
    OPEN = "open"


class GapEvent(StrEnum):
    """What may happen to a feed."""

    LOST = "events are missing"
    BACK = "events arrive again"
    SHORT = "sent again, but not all"


TRANSITIONS = {
    (GapState.CLOSED, GapEvent.LOST): GapState.OPEN,
    (GapState.OPEN, GapEvent.LOST): GapState.OPEN,
    (GapState.OPEN, GapEvent.BACK): GapState.CLOSED,
    (GapState.CLOSED, GapEvent.BACK): GapState.CLOSED,
    (GapState.OPEN, GapEvent.SHORT): GapState.CLOSED,
    (GapState.CLOSED, GapEvent.SHORT): GapState.CLOSED,
}


class Gaps:
    """The gaps of a run; :meth:`open` and :meth:`close` return the records to publish. All times are Unix ns.

    ``sources`` are those of the feeds that have another than ``source``.
    """

    def __init__(self, source: EventSource, sources: Mapping[str, EventSource] | None = None) -> None:
        self.count = 0
        self.filled = 0  # of them: nothing of it is missing
        self.open_now: dict[str, Gap] = {}
        self.recent: list[Gap] = []  # closed ones
        self.left_open: list[Gap] = []  # settled: what they lack does not come any more
        self._source, self._sources = source, sources or {}

    def open(self, feed: str, from_ns: int, now_ns: int, reason: str) -> Gap | None:
        """Note that events of a feed are missing from an instant on; ``None`` where that is known already."""
        if not self._changes(feed, GapEvent.LOST):
            return None
        self.count += 1
        source = self._sources.get(feed, self._source)
        gap = Gap(from_ns, now_ns, source, feed, from_ns, None, reason, secrets.token_hex(8))
        self.open_now[feed] = gap
        return gap

    def close(self, feed: str, to_ns: int, now_ns: int, events: int | None = None) -> Gap | None:
        """Note that they arrive again; ``events`` is how many are missing, where that is known.

        Returns ``None`` where nothing was missing.
        """
        if not self._changes(feed, GapEvent.BACK):
            return None
        gap = self.open_now.pop(feed)
        closed = replace(gap, ts_recv_ns=now_ns, to_ns=max(to_ns, gap.from_ns), events=events)
        self.recent = [*self.recent[1 - RECENT :], closed]
        self.filled += events == 0
        return closed

    def leave_open(self, feed: str, now_ns: int, events: int | None) -> Gap | None:
        """Note that they arrive again, but ``events`` (``None``: nobody knows) will stay missing."""
        if not self._changes(feed, GapEvent.SHORT):
            return None
        gap = replace(self.open_now.pop(feed), ts_recv_ns=now_ns, events=events)
        self.left_open.append(gap)
        return gap

    def _changes(self, feed: str, event: GapEvent) -> bool:
        state = GapState.OPEN if feed in self.open_now else GapState.CLOSED
        return TRANSITIONS[state, event] is not state
