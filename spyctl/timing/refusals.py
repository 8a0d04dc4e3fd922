"""When the refusal of a key is permanent, and when it is worth another try."""

from spyctl.timing.clock import Clock


class Refusals:
    """A key that was never good is refused permanently at once.

    One that was good has been seen to be refused for minutes: that counts only after ``patience_ns``.
    """

    def __init__(self, clock: Clock, patience_ns: int) -> None:
        self._clock = clock
        self._patience_ns = patience_ns
        self._was_good = False
        self._first_ns: int | None = None

    def accepted(self) -> None:
        """Note that the key was accepted."""
        self._was_good = True
        self._first_ns = None

    def refused(self, *, may_pass: bool = False) -> bool:
        """Note that the key was refused; returns whether that is permanent.

        What ``may_pass``, such as maintenance, is tried for a while even with a key that was never good.
        """
        now_ns = self._clock.now_ns()
        if self._first_ns is None:
            self._first_ns = now_ns
        at_once = not self._was_good and not may_pass
        return at_once or now_ns - self._first_ns >= self._patience_ns
