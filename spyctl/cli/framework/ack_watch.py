"""Notices a server that stores nothing, and says when that begins and ends."""

from collections.abc import Callable

from spyctl.bus.in_flight import Delivery
from spyctl.cli.framework.reporter import Reporter
from spyctl.timing.clock import Clock, SystemClock
from spyctl.timing.instants import MS, SECOND, duration_text

LOOK_NS = SECOND // 4
NOTICE_NS = 1_250 * MS  # without an acknowledgement for what is in flight


class AckWatch:
    """Watches the acknowledgements of a run; ``connected`` tells whether the connection is up.

    ``waiting_ns`` is for how long nothing of what is in flight has been stored, 0 while all is well.
    """

    def __init__(
        self, delivery: Delivery, connected: Callable[[], bool], reporter: Reporter, clock: Clock | None = None
    ) -> None:
        self.waiting_ns = 0
        self._delivery = delivery
        self._connected = connected
        self._reporter = reporter
        self._clock = clock or SystemClock()
        self._acked = delivery.acked
        self._reconnects = delivery.reconnects
        self._since_ns = self._looked_ns = self._clock.now_ns()
        self._told = False

    async def keep_looking(self) -> None:
        """Look four times a second, until cancelled."""
        while True:
            self.look()
            await self._clock.wait_until(self._clock.now_ns() + LOOK_NS)

    def look(self) -> None:
        """Compare with the last look, and say what has changed."""
        delivery, now_ns = self._delivery, self._clock.now_ns()
        if now_ns - self._looked_ns >= NOTICE_NS:  # this process was stopped; that is not the server's silence
            self._since_ns += now_ns - self._looked_ns
        self._looked_ns = now_ns
        all_stored = delivery.acked == delivery.published and self._connected()
        if delivery.acked != self._acked or all_stored:
            if self._told:
                self._reporter.line(f"NATS is back after {duration_text(now_ns - self._since_ns)}")
            self._acked, self._since_ns, self._told = delivery.acked, now_ns, False
        silent_ns = now_ns - self._since_ns
        lost = delivery.reconnects != self._reconnects
        self._reconnects = delivery.reconnects
        if not self._told and (lost or silent_ns >= NOTICE_NS):
            away = lost or not self._connected()
            why = "the connection to NATS was lost" if away else "NATS stores nothing of what is in flight"
            self._reporter.warn(f"{why}: waiting for it")
            self._told = True
        self.waiting_ns = silent_ns if silent_ns >= NOTICE_NS else 0
