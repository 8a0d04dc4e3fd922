"""What a replay by the gateway lacks, as far as that can be counted.

That it says to be complete proves nothing. Two counts do: of what we had before, as much must come again; and each
trade must also be a record of action ``T`` in the book, and the reverse
(https://databento.com/docs/schemas-and-data-formats/whats-a-schema). A book change that is missing between two trades
shows in neither.
"""

from collections.abc import Iterator

from spyctl.dbn.records import Records
from spyctl.timing.instants import SECOND

_Trade = tuple[int, int, int]  # instrument id, ts_event, sequence


class Refill:
    """The replay from ``start_ns`` up to ``end_ns`` (Unix ns), from which on everything is live."""

    def __init__(self, start_ns: int, end_ns: int) -> None:
        self.start_ns = start_ns
        self.end_ns = end_ns
        self._unmatched: dict[_Trade, int] = {}  # how many more of it the trades have than the books
        self._newest_ns = 0

    def take(self, schema: str, records: Records) -> None:
        """Look at the next records of a schema, one at least, those that we had before included."""
        times = records["ts_event"].view("i8")
        self._newest_ns = max(self._newest_ns, int(times.max()))
        shows = (times >= self.start_ns) & (times < self.end_ns)
        if schema != "trades":
            shows &= records["action"] == b"T"
        for trade in _trades(records[shows]) if shows.any() else ():
            more = self._unmatched.pop(trade, 0) + (1 if schema == "trades" else -1)
            if more:
                self._unmatched[trade] = more

    @property
    def is_past(self) -> bool:
        """Whether something has come that happened well after it began: the replay is over."""
        return self._newest_ns >= self.end_ns + SECOND

    def unmatched(self, before_ns: int | None = None) -> int:
        """Return how many trades one of the two schemas has and the other has not, up to an instant (Unix ns)."""
        return sum(abs(more) for (_, ts, _), more in self._unmatched.items() if before_ns is None or ts < before_ns)


def _trades(records: Records) -> Iterator[_Trade]:
    return zip(*(records[name].tolist() for name in ("instrument_id", "ts_event", "sequence")), strict=True)
