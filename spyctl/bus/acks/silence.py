"""For how long nothing has been acknowledged."""

from spyctl.bus.in_flight import InFlight
from spyctl.timing.instants import SECOND


class Silence:
    """The silence of the server about what is in flight; time in which this process slept is none."""

    def __init__(self, in_flight: InFlight) -> None:
        self._in_flight = in_flight
        self.attempt_ns = 0  # when it was last tried anew
        self._awake_ns = 0

    def attempt(self) -> None:
        """Note that it is tried anew."""
        self.attempt_ns = self._in_flight.clock.now_ns()

    def slept(self) -> None:
        """Note that this process did not run until now."""
        self._awake_ns = self._in_flight.clock.now_ns()

    def longer_than(self, limit_s: float, *, since_attempt: bool = True) -> bool:
        """Tell whether the oldest event has waited that long, while nothing moved or later ones passed it."""
        oldest_ns = self._in_flight.oldest_ns
        if oldest_ns is None:
            return False
        since = max(oldest_ns, self._awake_ns, self.attempt_ns if since_attempt else 0)
        if not (since_attempt and self._in_flight.has_hole):
            since = max(since, self._in_flight.progress_ns)
        return self._in_flight.clock.now_ns() - since > limit_s * SECOND
