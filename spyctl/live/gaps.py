"""Gaps: what is missing upstream, told as records that open and close."""

import secrets
from dataclasses import replace

from spyctl.market.events import EventSource, Gap


class Gaps:
    """The gaps of a run; ``open_`` and ``close`` return the records to publish. All times are Unix ns."""

    def __init__(self, source: EventSource) -> None:
        self.count = 0
        self.open_now: dict[str, Gap] = {}
        self.recent: list[Gap] = []
        self._source = source

    def open(self, feed: str, from_ns: int, now_ns: int, reason: str) -> Gap | None:
        """Note that events of a feed are missing from an instant on; ``None`` where that is known already."""
        if feed in self.open_now:
            return None
        self.count += 1
        gap = Gap(from_ns, now_ns, self._source, feed, from_ns, None, reason, secrets.token_hex(8))
        self.open_now[feed] = gap
        return gap

    def close(self, feed: str, to_ns: int, now_ns: int, events: int | None = None) -> Gap | None:
        """Note that they arrive again; ``events`` is how many are missing, where that is known."""
        gap = self.open_now.pop(feed, None)
        if gap is None:
            return None
        closed = replace(gap, ts_recv_ns=now_ns, to_ns=max(to_ns, gap.from_ns), events=events)
        self.recent = [*self.recent[-9:], closed]
        return closed
