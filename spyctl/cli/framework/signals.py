"""Ctrl-C, SIGTERM and SIGHUP: the first asks to stop cleanly, the second ends at once."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable

from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.framework.streams import drop
from spyctl.errors import ExitCode
from spyctl.summary import StopReason
from spyctl.terminal.text import count

_SIGNALS = {
    signal.SIGINT: (StopReason.CTRL_C, ExitCode.INTERRUPTED),
    signal.SIGTERM: (StopReason.SIGTERM, ExitCode.TERMINATED),
    signal.SIGHUP: (StopReason.SIGHUP, ExitCode.TERMINATED),
}


class Interruption:
    """Catches the signals of the running event loop; SIGHUP stays ignored where it was (``nohup``).

    The first signal cancels the current task, unless :meth:`hand_to` has named a receiver; ``code`` is then the
    exit code. The second one ends the process at once, with the terminal given back.
    """

    def __init__(self, reporter: Reporter) -> None:
        self.code: ExitCode | None = None
        self._reporter = reporter
        self._task = asyncio.current_task()
        self._receiver: Callable[[StopReason], None] | None = None
        self._missing: Callable[[], int] = lambda: 0
        self._on_terminal = [stream for stream in (sys.stdout, sys.stderr) if stream.isatty()]
        for number in _SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                asyncio.get_running_loop().add_signal_handler(number, self._signalled, number)

    def hand_to(self, receiver: Callable[[StopReason], None], missing: Callable[[], int]) -> None:
        """Have the first signal stop a run: it is said, and ``receiver`` called.

        ``missing`` returns how many events still wait for their acknowledgement.
        """
        self._receiver, self._missing = receiver, missing

    def _signalled(self, number: signal.Signals) -> None:
        reason, code = _SIGNALS[number]
        if number == signal.SIGHUP:
            self._leave_closed_terminal()
        if self.code is not None:
            self._leave_at_once(code)
            return
        self.code = code
        if self._receiver is not None:
            self._receiver(reason)
            waiting = count("acks", self._missing())
            self._reporter.line(f"\nstopping: {waiting} to come ({reason} again leaves at once)")
        elif self._task is not None:
            self._task.cancel()

    def _leave_at_once(self, code: ExitCode) -> None:
        self._reporter.release()
        if missing := self._missing():
            self._reporter.warn(f"left at once: {count('acks', missing)} still missing")
        else:
            self._reporter.line("left at once: nothing was in flight")
        os._exit(code)

    def _leave_closed_terminal(self) -> None:
        # A terminal that hung up is none any more; whoever writes to it would fail.
        for stream in self._on_terminal:
            if not stream.isatty():
                drop(stream)
