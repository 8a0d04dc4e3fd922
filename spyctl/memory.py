"""How the process keeps its memory."""

import ctypes

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
