"""What the gateway's complaints mean for the feed: another try, a pause, or the end."""

from collections.abc import Collection

from spyctl.dbn.messages import ErrorKind, GatewayFault
from spyctl.errors import KeyRefusedError, SpyctlError, UnknownFuturesError
from spyctl.timing.clock import Clock
from spyctl.timing.refusals import Refusals


class Standing:
    """``words`` is the last complaint, ``refusal`` the error of what is refused permanently.

    A key that was good is tried for ``refusals_ns`` more.
    """

    def __init__(self, clock: Clock, refusals_ns: int, slow_again_ns: int) -> None:
        self.words = ""
        self.refusal: SpyctlError | None = None
        self._clock = clock
        self._slow_again_ns = slow_again_ns
        self._refusals = Refusals(clock, refusals_ns)
        self._slow_ns: int | None = None
        self._crowded = False

    def accepted(self) -> None:
        """Note that data arrive: the key is good."""
        self._refusals.accepted()

    def refused(self, fault: GatewayFault) -> None:
        """Note that the gateway does not let us in, or does not give us what was asked for."""
        self.words = fault.text
        if fault.kind is ErrorKind.CONNECTIONS:
            self._crowded = True
            return
        if self._refusals.refused(may_pass=fault.kind is ErrorKind.OTHER):  # which may be maintenance
            if fault.kind is ErrorKind.KEY:
                remedy = "copy DATABENTO_API_KEY again: databento.com/portal/keys"
                self.refusal = KeyRefusedError(f"Databento refuses the key: {fault.text}", remedy)
            else:
                remedy = "a plan with live data of the dataset: databento.com/portal"
                self.refusal = KeyRefusedError(f"Databento refuses the subscription: {fault.text}", remedy)

    def unknown(self, symbols: Collection[str]) -> None:
        """Note that the gateway knows none of the symbols."""
        self.refusal = UnknownFuturesError(sorted(symbols))

    def is_slow_again(self) -> bool:
        """Note that we read too slowly; returns whether that was so a moment ago."""
        now_ns = self._clock.now_ns()
        if self._slow_ns is not None and now_ns - self._slow_ns < self._slow_again_ns:
            return True
        self._slow_ns = now_ns
        return False

    def take_crowded(self) -> bool:
        """Return whether there was a connection too many, and forget it."""
        crowded, self._crowded = self._crowded, False
        return crowded
