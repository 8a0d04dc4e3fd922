"""Who writes: one process a run, which proves that it still holds its leases before it writes events."""

from spyctl.bus.connection import Connection
from spyctl.bus.fence import FENCED, can_fence, fence_header
from spyctl.bus.run import Run


class Writer:
    """Writes for ``run``; without one, nobody else may publish to its subjects."""

    def __init__(self, connection: Connection, run: Run | None) -> None:
        self._connection = connection
        self._run = run

    async def write(self, frames: bytes | memoryview) -> bool:
        """Write events; return whether they went out.

        Time may have passed since they were handed over, and with it our lease. Raises :class:`LeaseLostError`.
        """
        return await self.proved() and await self._connection.write(frames)

    async def proved(self, *, anew: bool = False) -> bool:
        """Tell whether our leases are proved to hold; ``anew`` asks although there is no doubt.

        Raises :class:`LeaseLostError`.
        """
        if anew:
            self.doubt()
        return self._run is None or await self._run.prove(fenced=can_fence(self._connection), anew=anew)

    def doubt(self) -> None:
        """Have the leases proved before the next write."""
        if self._run is not None:
            self._run.leases.doubt()

    @property
    def fence(self) -> bytes:
        """The lines of a header that has a message refused once another process has taken over."""
        return fence_header(self._run.fence) if self._run is not None and can_fence(self._connection) else b""

    def is_fenced(self, err_code: int) -> bool:
        """Tell whether an answer means that another process has taken over."""
        return self._run is not None and err_code in FENCED
