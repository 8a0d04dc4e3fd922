"""Ctrl-C and SIGTERM: the first asks to stop cleanly, the second ends at once."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable

from spyctl.cli.framework.reporter import Reporter
from spyctl.errors import ExitCode
from spyctl.summary import StopReason

_SIGNALS = {
    signal.SIGINT: (StopReason.CTRL_C, ExitCode.INTERRUPTED),
    signal.SIGTERM: (StopReason.SIGTERM, ExitCode.TERMINATED),
}
_RESTORE_TERMINAL = "\x1b[?1049l\x1b[?25h\n"  # the screen and the cursor


class Interruption:
    """Catches the signals of the running event loop.

    The first signal cancels the current task, unless :meth:`hand_to` has named a receiver; ``code`` is then the
    exit code.
    """

    def __init__(self) -> None:
        self.code: ExitCode | None = None
        self._task = asyncio.current_task()
        self._receiver: Callable[[StopReason], None] | None = None
        for number in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._signalled, number)

    def hand_to(self, receiver: Callable[[StopReason], None]) -> None:
        """Have ``receiver`` called with the first signal."""
        self._receiver = receiver

    def _signalled(self, number: signal.Signals) -> None:
        reason, code = _SIGNALS[number]
        if self.code is not None:
            sys.stderr.write(_RESTORE_TERMINAL if sys.stderr.isatty() else "")
            os._exit(code)
        self.code = code
        if self._receiver is not None:
            self._receiver(reason)
        elif self._task is not None:
            self._task.cancel()


def say_stopping(reporter: Reporter, waiting: int, reason: StopReason) -> None:
    """Say that a run ends in order, once ``waiting`` events are acknowledged."""
    reporter.line(f"\nstopping: {waiting:,} acks to come ({reason} again leaves at once)")
