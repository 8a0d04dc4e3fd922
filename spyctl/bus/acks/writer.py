"""Who writes: one process a run, which proves that it still holds its leases before it writes events."""

from contextlib import suppress

from spyctl.bus.connection import ApiError, Connection
from spyctl.bus.fence import FENCED, can_fence, fence_header, shift_fence
from spyctl.bus.run import Run
from spyctl.errors import BusError


class Writer:
    """Writes for ``run``; without one, nobody else may publish to its subjects."""

    def __init__(self, connection: Connection, run: Run | None) -> None:
        self._connection = connection
        self._run = run
        self._fence_seq: int | None = 0  # of the last message under the fence, ``None`` where that is unknown

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
        if self._run is None or not can_fence(self._connection):
            return b""
        return fence_header(self._run.fence, self._fence_seq or 0)

    async def fence_off(self) -> bool:
        """Have the server refuse whatever is still on its way with our fence; returns whether it will.

        Raises :class:`LeaseLostError`.
        """
        run = self._run
        if run is None or not can_fence(self._connection):
            return True
        self._fence_seq = None  # the answer may be lost
        with suppress(ApiError, BusError):
            self._fence_seq = await shift_fence(self._connection, run.record.stream, run.fence, run.record.run_id)
            if self._fence_seq is not None:
                return True
            self.doubt()  # another process has closed it
        await self.proved()
        return False

    async def fenced(self) -> bool:
        """Tell whether what is sent now bears the fence as it stands. Raises :class:`LeaseLostError`."""
        return self._fence_seq is not None or await self.fence_off()

    def refused(self) -> None:
        """Note that a message was refused for its fence: it was taken over, or the stream let go of a shifted one."""
        self.doubt()
        if self._fence_seq:
            self._fence_seq = None

    def is_fenced(self, err_code: int) -> bool:
        """Tell whether an answer means that another process has taken over."""
        return self._run is not None and err_code in FENCED
