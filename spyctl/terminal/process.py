"""How the process keeps its memory, and what it uses of the machine."""

import ctypes
import os
import resource
import time
from dataclasses import dataclass
from typing import Self

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_KEPT = 64 << 20
_LARGEST = 32 << 20  # the highest threshold glibc takes


def keep_freed_memory() -> None:
    """Have freed memory kept for the next allocation, up to 64 MiB, instead of given back to the system.

    Batches come and go by the hundred a second, each some MB. Giving their pages back and taking new ones, which
    the system has to clear first, costs a third of what encoding costs. Where the C library is not glibc, nothing
    changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_M_TRIM_THRESHOLD, _KEPT)
    mallopt(_M_MMAP_THRESHOLD, _LARGEST)


@dataclass(slots=True)
class Usage:
    """What the process uses: ``memory`` resident bytes, ``cpu`` and ``drawing`` as shares of one core.

    The display adds to ``drawing_ns``.
    """

    memory: int = 0
    cpu: float = 0.0
    drawing: float = 0.0
    drawing_ns: int = 0
    _cpu_ns: int = 0
    _clock_ns: int = 0

    @classmethod
    def now(cls) -> Self:
        """Begin to measure."""
        return cls(_cpu_ns=time.process_time_ns(), _clock_ns=time.monotonic_ns())

    def since(self) -> "Usage":
        """Return what was used since then."""
        elapsed_ns = max(1, time.monotonic_ns() - self._clock_ns)
        cpu_ns = time.process_time_ns() - self._cpu_ns
        return Usage(_resident(), cpu_ns / elapsed_ns, self.drawing_ns / elapsed_ns)


def _resident() -> int:
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - read four times a second
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: bytes, the highest so far
