"""Single keys of the terminal, as long as it is ours to read from."""

import asyncio
import os
import sys
import termios
import tty
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_SEQUENCES = {
    "\x1b[A": "up", "\x1b[B": "down", "\x1b[C": "right", "\x1b[D": "left",
    "\x1bOA": "up", "\x1bOB": "down", "\x1bOC": "right", "\x1bOD": "left",
    "\x1b[5~": "pageup", "\x1b[6~": "pagedown", "\x1b": "escape", "\x7f": "backspace", "\x08": "backspace",
    "\r": "enter", "\n": "enter", "\t": "tab", " ": "space",
}  # fmt: skip
_READ = 1_024


def keys_of(data: str) -> list[str]:
    """Split what a terminal sent into keys: characters, and names such as ``up`` and ``escape``.

    A sequence that is not known is left out as a whole.
    """
    keys = []
    while data:
        name = next((each for each in sorted(_SEQUENCES, key=len, reverse=True) if data.startswith(each)), None)
        if name == "\x1b" and len(data) > 1 and data[1] in "[O":
            end = next((i for i, char in enumerate(data[2:], 3) if "@" <= char <= "~"), len(data))
            data = data[end:]
            continue
        if name is None:
            keys += [data[0]] if data[0].isprintable() else []
            data = data[1:]
        else:
            keys.append(_SEQUENCES[name])
            data = data[len(name) :]
    return keys


class Keyboard:
    """Hands each key to ``on_key``; ``pressed`` is set with each.

    Between :meth:`take` and :meth:`give_back` the terminal sends keys as they are pressed and echoes nothing; Ctrl-C
    and Ctrl-Z stay what they are.
    """

    def __init__(self, on_key: Callable[[str], None]) -> None:
        self.pressed = asyncio.Event()
        self._on_key = on_key
        self._before: list[Any] | None = None  # how the terminal was

    def take(self) -> None:
        """Begin to read, where standard input is a terminal; done twice, it changes nothing."""
        if self._before is not None or not sys.stdin or not sys.stdin.isatty():
            return
        descriptor = sys.stdin.fileno()
        with suppress(OSError, termios.error):
            self._before = termios.tcgetattr(descriptor)
            tty.setcbreak(descriptor, termios.TCSANOW)
            asyncio.get_running_loop().add_reader(descriptor, self._read, descriptor)

    def give_back(self) -> None:
        """Leave the terminal as it was; never raises."""
        before, self._before = self._before, None
        if before is None:
            return
        descriptor = sys.stdin.fileno()
        with suppress(RuntimeError, OSError, ValueError):
            asyncio.get_running_loop().remove_reader(descriptor)
        with suppress(OSError, ValueError, termios.error):
            termios.tcsetattr(descriptor, termios.TCSANOW, before)

    def _read(self, descriptor: int) -> None:
        try:
            data = os.read(descriptor, _READ)
        except OSError:
            data = b""
        if not data:
            self.give_back()  # it has hung up
            return
        for key in keys_of(data.decode("utf-8", "ignore")):
            self._on_key(key)
        self.pressed.set()
