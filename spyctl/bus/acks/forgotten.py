"""What is stored of a batch that the server has forgotten: a part of what lies behind the last fence."""

from collections.abc import AsyncIterator, Sequence

from spyctl.bus.checkpoint import Checkpoint
from spyctl.bus.connection import Connection
from spyctl.bus.in_flight import InFlight
from spyctl.bus.recognition import Message, count_own, last_messages, messages_of
from spyctl.bus.stream import Stream, final_count
from spyctl.errors import LostTrackError, StreamBusyError, UnreachableError


class ForgottenBatches:
    """Counts our events behind the checkpoint; ``counted`` are the subjects that are asked for, ``subjects`` those that
    ranks index. It remembers whether a batch was not held as a whole: such a rest may still turn up."""

    def __init__(
        self, connection: Connection, stream: Stream, counted: Sequence[str], subjects: Sequence[str], flight: InFlight
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._counted = counted
        self._subjects = subjects
        self._in_flight = flight
        self._in_part = False

    async def stored(self, end: int) -> Checkpoint:
        """Return how far our events are stored, of those before position ``end``.

        Raises :class:`LostTrackError` and :class:`StreamBusyError` where that cannot be known, :class:`BusError` where
        the server is not ready to tell.
        """
        known, clock = self._in_flight.anchor, self._in_flight.clock
        count, seq = await final_count(self._connection, self._stream, self._counted, known.seq, clock)
        own = await self._own(end, count, seq)
        self._in_part = self._in_part or known.position + own < end - 1
        return Checkpoint(known.position + own, seq)

    async def _own(self, end: int, count: int, last_seq: int) -> int:
        # Of so many messages behind the last fence, those that are acknowledged come first in our order, and the rest
        # is compared with what is in flight: others may have published too.
        known, oldest, name = self._in_flight.anchor, self._in_flight.oldest, self._stream.name
        acked = (oldest or end) - 1 - known.position
        if count < acked:  # a new leader may not have stored yet what was agreed upon
            kind, lost = LostTrackError if self._stream.replicas == 1 else UnreachableError, acked - count
            raise kind(f"stream {name} does not hold {lost:,} events that it acknowledged", "play it again")
        rest = last_messages(self._connection, name, self._counted, known.seq + acked, last_seq, count - acked)
        own = await count_own(rest, self._waiting())
        if self._in_part and (own is None or count > acked + own):
            raise LostTrackError(
                f"stream {name} has stored events that it did not hold when it was asked",
                "play it again from the start",
            )
        if own is None:
            where = f"{self._counted[0]} or its like"
            raise StreamBusyError(f"somebody else has published the same events to {where}", "end one of the two")
        return acked + own

    async def _waiting(self) -> AsyncIterator[list[Message]]:
        for chunk in self._in_flight.unacknowledged():
            yield messages_of(chunk.batch, self._subjects)
