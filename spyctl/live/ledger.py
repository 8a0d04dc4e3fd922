"""The equation of a live run: received = published + rejected + duplicates + dropped + queued."""

from spyctl.bus.in_flight import Delivery
from spyctl.live.filter import LiveFilter
from spyctl.live.sender import Sender
from spyctl.summary import StopReason
from spyctl.timing.clock import Clock


class Ledger:
    """Counts and times of a run, read off those who count; gap records count for nothing here.

    ``started_ns`` and ``ended_ns`` are Unix ns, 0 until then; ``stopped_by`` is why it ended, or is about to.
    """

    def __init__(self, taken: LiveFilter, sender: Sender, clock: Clock) -> None:
        self.started_ns = self.ended_ns = 0
        self.stopped_by: StopReason | None = None
        self._begun_ns = self._wall_ns = 0
        self._clock = clock
        self._filter = taken
        self._sender = sender
        self._acked = 0

    def begin(self) -> None:
        """Note that the run begins."""
        self.started_ns, self._begun_ns = self._clock.time_ns(), self._clock.now_ns()

    def end(self) -> None:
        """Note that the run has ended."""
        self.ended_ns, self._wall_ns = self._clock.time_ns(), self.wall_ns

    @property
    def wall_ns(self) -> int:
        """How long the run has gone on, or went on, whoever sets the clock meanwhile."""
        if self.ended_ns:
            return self._wall_ns
        return self._clock.now_ns() - self._begun_ns if self.started_ns else 0

    @property
    def delivery(self) -> Delivery:
        """What was sent and acknowledged, gap records included."""
        return self._sender.sink.delivery

    @property
    def received(self) -> int:
        """Events that arrived, rejected ones and those that an earlier run has left on disk included."""
        return self._filter.received + self._sender.backlog.recovered

    @property
    def published(self) -> int:
        """Events sent, without those that the stream had before."""
        return self._sender.sent - self.delivery.known

    @property
    def acked(self) -> int:
        """Those of them that the stream holds; never less than it has been."""
        in_flight = self.delivery.published - self.delivery.acked
        self._acked = max(self._acked, self.published - in_flight)
        return self._acked

    @property
    def rejected(self) -> int:
        """What could not become an event, or is not ours."""
        return sum(self._filter.rejected.values())

    @property
    def duplicates(self) -> int:
        """Events that had been received, or stored by an earlier run, before."""
        return self._filter.duplicates + self.delivery.known

    @property
    def dropped(self) -> int:
        """Events that had to go because the server took too long."""
        return sum(self._sender.backlog.dropped.values())

    @property
    def queued(self) -> int:
        """Events that wait to be sent."""
        return self.received - self.published - self.rejected - self.duplicates - self.dropped
