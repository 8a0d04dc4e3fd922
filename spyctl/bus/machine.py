"""The machine and the process that we are, named so that another process can tell whether it is the same one.

Processes of one boot share a monotonic clock; only those of one process namespace as well can see whether another one
is alive. Where the system does not tell (only Linux does), a name is empty, and equals none.
"""

import os
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process runs: its ``host`` name, the ``boot`` whose clock it reads, the namespace of its ``pids``."""

    host: str
    boot: str
    pids: str

    def shares_clock(self, other: "Place") -> bool:
        """Whether the monotonic clock is the same in both."""
        return bool(self.boot) and self.boot == other.boot

    def sees(self, other: "Place") -> bool:
        """Whether a process id means the same process in both."""
        return bool(self.pids) and self.shares_clock(other) and self == other


@cache
def here() -> Place:
    """Return the place of this process."""
    boot, clock = _text("/proc/sys/kernel/random/boot_id"), _namespace("time")
    return Place(platform.node(), f"{boot} {clock}".strip() if boot else "", _namespace("pid"))


def is_dead(pid: int) -> bool:
    """Whether no process of this place has an id, or only one that has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    # Dead, but its parent has not asked yet. Only Linux tells.
    return _text(f"/proc/{pid}/stat").rpartition(")")[2].split()[:1] == ["Z"]


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _namespace(kind: str) -> str:
    try:
        return str(Path(f"/proc/self/ns/{kind}").readlink())
    except OSError:
        return ""
