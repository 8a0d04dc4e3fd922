"""A real pseudo-terminal with a program in it, and the screen a person would see."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyte


class Terminal:
    """Runs a command in a terminal of ``columns`` × ``lines``."""

    def __init__(
        self, command: Sequence[str], env: dict[str, str], cwd: Path, columns: int = 80, lines: int = 24
    ) -> None:
        self.screen = pyte.Screen(columns, lines)
        self.raw = b""
        self._stream = pyte.ByteStream(self.screen)
        self._fd, child = pty.openpty()
        self._modes_before = self._modes_after = termios.tcgetattr(child)
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        settings = {"TERM": "xterm-256color"}
        env = {name: value for name, value in env.items() if name not in ("COLUMNS", "LINES", "CI")}
        self.process = subprocess.Popen(
            list(command), env=env | settings, cwd=cwd, stdin=child, stdout=child, stderr=child,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(child)

    def text(self) -> str:
        """Return what is on the screen."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def wait_for(self, seen: Callable[[str], bool], timeout_s: float = 30.0) -> str:
        """Feed the screen until it shows what is waited for."""
        deadline = time.monotonic() + timeout_s
        while not seen(self.text()):
            assert time.monotonic() < deadline, f"not seen on the screen:\n{self.text()}"
            if not (self._feed(0.2) and self._settle()):
                assert seen(self.text()), f"ended, not seen on the screen:\n{self.text()}"
        return self.text()

    def wait_raw(self, wanted: bytes, after: int = 0, timeout_s: float = 30.0) -> None:
        """Read until certain bytes have come, behind the first ``after``."""
        deadline = time.monotonic() + timeout_s
        while wanted not in self.raw[after:]:
            assert time.monotonic() < deadline, f"{wanted!r} did not come:\n{self.text()}"
            self._feed(0.2)

    def resize(self, columns: int, lines: int) -> None:
        """Give the window another size."""
        self.screen.resize(lines, columns)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._fd, keys)

    def assert_given_back(self) -> None:
        """Check that screen, cursor and modes are as before, once the command has ended or stopped."""
        latest: dict[bytes, bytes] = {}
        begun: dict[bytes, bytes] = {}
        for mode, verb in re.findall(rb"\x1b\[\?(?!2004)(\d+)([hl])", self.raw):  # 2004 is the shell's own
            begun.setdefault(mode, verb)
            latest[mode] = verb
        assert begun, "no mode of the terminal was ever changed"
        kept = [mode.decode() for mode in begun if begun[mode] == latest[mode]]
        assert not kept, f"modes not given back: {kept}"
        assert self._modes_after == self._modes_before

    def close(self) -> None:
        """Close the terminal under the command, as a window that is closed."""
        os.close(self._fd)

    def finish(self, timeout_s: float = 30.0) -> int:
        """Read until the program ends; return its exit code."""
        deadline = time.monotonic() + timeout_s
        while self._feed(0.2) or self.process.poll() is None:
            assert time.monotonic() < deadline, f"it does not end:\n{self.text()}"
        self._modes_after = termios.tcgetattr(self._fd)
        os.close(self._fd)
        return self.process.wait()

    def _settle(self) -> bool:
        # A frame comes in several pieces; what is looked at is a whole one.
        for _ in range(50):
            if not select.select([self._fd], [], [], 0.03)[0]:
                return True
            if not self._feed(0):
                return False
        return True

    def _feed(self, timeout_s: float) -> bool:
        ready, _, _ = select.select([self._fd], [], [], timeout_s)
        if not ready:
            return self.process.poll() is None
        try:
            data = os.read(self._fd, 1 << 16)
        except OSError:
            return False  # Linux says EIO when the last writer is gone
        self.raw += data
        self._stream.feed(data)
        return bool(data)
