"""Processes that use the embedded server."""

import os
import subprocess
import sys
from pathlib import Path

USER = """
import asyncio, sys
from pathlib import Path
from spyctl.bus.embedded import EmbeddedServer, Store

async def main() -> None:
    async with EmbeddedServer(Store(Path(sys.argv[1])), int(sys.argv[2])) as server:
        print(server.state.port, server.state.pid, server.state.keeper_pid, int(server.started), flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


class User:
    """A process that uses the embedded server until told to end, or killed."""

    def __init__(self, store: Path, port: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(store), str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ready(self) -> tuple[int, ...]:
        assert self.process.stdout is not None
        return tuple(map(int, self.process.stdout.readline().split()))

    def end(self, *, kill: bool = False) -> None:
        if kill:
            self.process.kill()
        self.process.communicate()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        # A dead child of a dead parent may still wait to be collected.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return not Path("/proc").is_dir()  # another system, which knows it by the signal alone
