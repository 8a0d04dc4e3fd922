"""Whether the stream still holds what it has acknowledged, though others may have published since."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from spyctl.bus.checkpoint import Checkpoint
from spyctl.bus.connection import ApiError, Connection
from spyctl.bus.contents import stream_info
from spyctl.bus.in_flight import InFlight
from spyctl.bus.mark import keeps, mark_of
from spyctl.bus.recognition import messages_of
from spyctl.bus.stream import Stream
from spyctl.errors import BusError, LostTrackError


class Kept:
    """Proves after a break that the stream holds all up to the newest point that was known before.

    ``subjects`` are indexed by the ranks of the events in flight.
    """

    def __init__(self, connection: Connection, stream: Stream, in_flight: InFlight, subjects: Sequence[str]) -> None:
        self._connection = connection
        self._stream = stream
        self._in_flight = in_flight
        self._subjects = subjects
        self._doubted: Checkpoint | None = None  # what was known when it broke
        self._breaks = 0

    def doubt(self) -> None:
        """Note a break: what is known now is to be proved first, whatever is acknowledged meanwhile."""
        self._breaks += 1
        self._doubted = self._doubted or marked(self._in_flight, self._subjects)

    @property
    def in_doubt(self) -> bool:
        """Whether it broke since the last proof."""
        return self._doubted is not None

    async def proved(self) -> bool:
        """Prove it; false where nobody tells. Raises :class:`LostTrackError` where it does not hold."""
        self.doubt()
        checkpoint = self._doubted
        while checkpoint is not None:
            breaks = self._breaks
            try:
                if not await keeps(self._connection, self._stream.name, checkpoint):
                    await refuse_loss(self._connection, self._stream)
            except BusError as error:
                if isinstance(error, LostTrackError):
                    raise
                return False
            newest = marked(self._in_flight, self._subjects)  # an acknowledgement of before may have come meanwhile
            # What was answered before another break says nothing of what was lost since.
            checkpoint = newest if newest != checkpoint or breaks != self._breaks else None
        self._doubted = None
        return True

    async def refuse_receded(self) -> None:
        """Raise :class:`LostTrackError` where an event got a sequence that an earlier one had."""
        if self._in_flight.receded:
            await refuse_loss(self._connection, self._stream)
            self._in_flight.receded = False


def marked(in_flight: InFlight, subjects: Sequence[str], *, at_anchor: bool = False) -> Checkpoint:
    """Return the newest point in the stream whose message is known, or the anchor, with its mark if that is known."""
    anchor, placed = in_flight.anchor, in_flight.placed
    if placed is None or placed[0].seq < anchor.seq or (at_anchor and placed[0] != anchor):
        return anchor
    return replace(placed[0], mark=mark_of(*messages_of(placed[1], subjects)[0]))


async def refuse_loss(connection: Connection, stream: Stream) -> None:
    """Raise :class:`LostTrackError` where a stream that is still the same stores under sequences that it had given.

    What an administrator did to it is told by name at the end of the run.
    """
    with suppress(ApiError, BusError):
        info = await stream_info(connection, stream.name)
        if info is None or info.get("created", "") != stream.born:
            return
        if tuple(info.get("config", {}).get("subjects") or ()) != stream.subjects:
            return
    what = "has lost events that the server had acknowledged"
    raise LostTrackError(f"stream {stream.name} {what}", "play it again from the start")
