"""The program, as ``spyctl`` and as ``python -m spyctl``: it answers signals from its first moment.

Loading it takes a few tenths of a second, in which Python would show a traceback for Ctrl-C; and the first process of a
container would not even be ended by SIGTERM.
"""

import os
import signal
import sys
from types import FrameType

_INTERRUPTED, _TERMINATED = 130, 143  # as in errors.ExitCode, which is not loaded yet


def main() -> None:
    """Run the command line of this process, and end it with its exit code."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup has SIGHUP ignored, and that stays so
            signal.signal(number, _terminated)
    sys.unraisablehook = _unraisable
    try:
        from spyctl.cli.framework.loading import loading

        with loading():
            from spyctl.cli import app

        app.main()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _terminated(_number: int, _frame: FrameType | None) -> None:
    sys.exit(_TERMINATED)


def _unraisable(what: "sys.UnraisableHookArgs") -> None:
    # A signal may be answered within a callback that no exception leaves, as the import system has them.
    if issubclass(what.exc_type, SystemExit | KeyboardInterrupt):
        os._exit(_TERMINATED if issubclass(what.exc_type, SystemExit) else _INTERRUPTED)
    sys.__unraisablehook__(what)


if __name__ == "__main__":
    main()
