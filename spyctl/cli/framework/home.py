"""The home folder of a process that has none: no ``HOME``, and a user that the machine does not know."""

import os
import stat
from pathlib import Path


def provide_home() -> str:
    """See to it that there is a home folder; returns a sentence where one had to be made, else nothing.

    It is in the folder for temporary files, for this user alone, and the same one the next time.
    """
    if os.path.isabs(os.path.expanduser("~")):  # noqa: PTH111, PTH117 - pathlib raises where there is none
        return ""
    import tempfile

    folder = Path(tempfile.gettempdir()) / f"spyctl-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if not _is_ours(folder):
            folder = Path(tempfile.mkdtemp(prefix="spyctl-"))
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="spyctl-"))
    os.environ["HOME"] = str(folder)
    return f"there is no home folder, so {folder} is used; HOME=DIR names another one"


def _is_ours(folder: Path) -> bool:
    # Anybody may have put something else there.
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077
