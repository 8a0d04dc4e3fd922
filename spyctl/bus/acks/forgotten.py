"""What is stored of a batch that the server has forgotten: a part of what lies behind the last fence."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

from spyctl.bus.checkpoint import Checkpoint
from spyctl.bus.connection import Connection
from spyctl.bus.contents import stable_count, stored_after
from spyctl.bus.in_flight import InFlight
from spyctl.bus.mark import mark_at
from spyctl.bus.recognition import EventsAfter, Message, count_own, first, messages_after, messages_of
from spyctl.bus.stream import Stream
from spyctl.errors import LostTrackError, StreamBusyError, UnreachableError


class ForgottenBatches:
    """Counts our events behind the checkpoint; ``counted`` are the subjects that are asked for, ``subjects`` those that
    ranks index, ``events`` yields our events again. It remembers whether a batch was not held as a whole: such a rest
    may still turn up."""

    def __init__(
        self,
        connection: Connection,
        stream: Stream,
        counted: Sequence[str],
        subjects: Sequence[str],
        flight: InFlight,
        events: EventsAfter | None = None,
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._counted = counted
        self._subjects = subjects
        self._in_flight = flight
        self._events = events
        self._in_part = False

    async def stored(self, end: int) -> Checkpoint:
        """Return how far our events are stored, of those before position ``end``.

        Raises :class:`LostTrackError` and :class:`StreamBusyError` where that cannot be known, :class:`BusError` where
        the server is not ready to tell.
        """
        known, clock = self._in_flight.anchor, self._in_flight.clock
        asked = self._connection, self._stream.name, self._counted, known.seq
        # A new leader may not have stored yet what was agreed upon, and is asked again.
        count, seq = await (stable_count(*asked, clock) if self._stream.replicas > 1 else stored_after(*asked))
        own = await self._own(end, count, seq)
        self._in_part = self._in_part or known.position + own < end - 1
        return Checkpoint(known.position + own, seq, await mark_at(self._connection, self._stream.name, seq))

    async def _own(self, end: int, count: int, last_seq: int) -> int:
        # Of the messages behind the last fence, those that are acknowledged come first in our order, and the rest is
        # compared with what is in flight: others may have published too, and may do so while we read. So what is
        # skipped is counted from the fence on, where nothing is added.
        known, oldest = self._in_flight.anchor, self._in_flight.oldest
        acked = (oldest or end) - 1 - known.position
        if count < acked:
            raise self._lost(acked - count)
        async with aclosing(self._messages(last_seq, max(0, acked - 1))) as stored:
            if not acked or await self._is_last_acked(known.position + acked, stored):
                own = await count_own(stored, self._waiting(), acked)
            else:
                own = await self._compared(end, acked, last_seq)
        if self._in_part and (own is None or count > own):
            raise LostTrackError(
                f"stream {self._stream.name} has stored events that it did not hold when it was asked",
                "play it again from the start",
            )
        if own is None:
            where = f"{self._counted[0]} or its like"
            raise StreamBusyError(f"somebody else has published the same events to {where}", "end one of the two")
        return own

    def _messages(self, last_seq: int, skip: int = 0) -> AsyncGenerator[list[Message]]:
        after_seq = self._in_flight.anchor.seq
        return messages_after(self._connection, self._stream.name, self._counted, after_seq, last_seq, skip)

    async def _is_last_acked(self, position: int, stored: AsyncIterator[list[Message]]) -> bool:
        # Takes the first message; where it is the event acknowledged last, nobody was in between, and all is there.
        event = self._in_flight.last_acknowledged(position)
        message: list[Message] = await anext(stored, [])
        return event is not None and message == messages_of(event, self._subjects)

    async def _compared(self, end: int, acked: int, last_seq: int) -> int | None:
        # Others have published too: ours have to be looked for one by one, the acknowledged ones among them.
        known = self._in_flight.anchor
        if self._events is None:
            raise StreamBusyError(
                f"others publish to {self._counted[0]} or its like too, and the server forgot which events are ours",
                "end one of the two, then play it again",
            )
        own = await count_own(self._messages(last_seq), first(end - 1 - known.position, self._events(known.position)))
        if own is not None and own < acked:
            raise self._lost(acked - own)
        return own

    def _lost(self, events: int) -> LostTrackError | UnreachableError:
        # A new leader may not have stored yet what was agreed upon.
        kind = LostTrackError if self._stream.replicas == 1 else UnreachableError
        return kind(f"stream {self._stream.name} does not hold {events:,} events that it acknowledged", "play it again")

    async def _waiting(self) -> AsyncIterator[list[Message]]:
        for chunk in self._in_flight.unacknowledged():
            yield messages_of(chunk.batch, self._subjects)
