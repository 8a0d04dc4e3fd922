"""How many files may be open at once: files that lie side by side in time are read side by side."""

import resource
from collections.abc import Sequence
from heapq import heappop, heappush

from spyctl.dbn.file_info import DBNFileInfo
from spyctl.errors import TooManyFilesError

_OWN = 128  # what the process needs beside the files: sockets, the terminal, modules


def make_room(infos: Sequence[DBNFileInfo]) -> None:
    """Raise this process's limit of open files, within what the system allows, to what reading some files takes.

    Raises :class:`TooManyFilesError` where that is not enough.
    """
    needed = open_at_once(infos) + _OWN
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or needed <= soft:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    except (ValueError, OSError):
        raise TooManyFilesError(needed - _OWN, max(soft, hard)) from None


def open_at_once(infos: Sequence[DBNFileInfo]) -> int:
    """Return how many of some files share an instant at most."""
    ends: list[int] = []
    most = 0
    for first_ns, last_ns in sorted(info.span for info in infos):
        while ends and ends[0] < first_ns:
            heappop(ends)
        heappush(ends, last_ns)
        most = max(most, len(ends))
    return most
