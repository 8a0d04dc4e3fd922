"""Whether a stream still holds what a run has stored there, and what was done to it meanwhile.

A stream may be purged, deleted and made anew, given tighter limits or other subjects while a run publishes, and a
server may lose at a restart what it has acknowledged. So a run looks at its stream now and then, and at its end asks it
for the count of its events. What fell out by the limits that the stream stated when the run began is no loss.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from spyctl.bus.checkpoint import BEGINNING, Checkpoint
from spyctl.bus.connection import ApiError, Connection
from spyctl.bus.contents import STABLE_S, count_after, stream_info
from spyctl.bus.in_flight import Delivery
from spyctl.bus.mark import keeps
from spyctl.bus.stream import Limits, Stream, captures
from spyctl.errors import BusError, UnreachableError
from spyctl.timing.clock import Clock, SystemClock
from spyctl.timing.instants import SECOND

LOOK_S = 2.0
_PATIENCE_S = 30.0  # for a server that restarts just when it is to be asked
_ONE_MESSAGE = 1 << 16  # bytes; a stream that is full may have room for less than one


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a stream holds of the events that it has acknowledged to a run, in events.

    ``expired`` fell out by the limits it had from the beginning; ``lost`` are gone for another reason, which is among
    ``changes`` where one was seen.
    """

    stream: str
    acknowledged: int
    lost: int = 0
    expired: int = 0
    changes: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """Say what is missing and why, nothing where all is there."""
        if self.lost:
            why = "; ".join(self.changes) or "the server no longer has them"
            return f"{self._of(self.lost)} are not in stream {self.stream}: {why}"
        return f"{self._of(self.expired)} fell out of stream {self.stream} by its own limits" if self.expired else ""

    def _of(self, events: int) -> str:
        return f"{events:,} of {self.acknowledged:,} acknowledged events"


@dataclass(frozen=True, slots=True)
class _Sight:
    # The stream at a moment; nothing of it where it was gone.
    born: str = ""
    subjects: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    first_seq: int = 0
    last_seq: int = 0
    messages: int = 0
    size: int = 0
    deleted: int | None = None  # messages in its midst, where known

    @classmethod
    def of(cls, info: dict[str, Any]) -> "_Sight":
        config, state = info["config"], info["state"]
        return cls(
            info.get("created", ""), tuple(config.get("subjects") or ()), Limits.of(config), state["first_seq"],
            state["last_seq"], state["messages"], state["bytes"], state.get("num_deleted", 0),
        )  # fmt: skip


class Custody:
    """Looks after the events of one run in its stream.

    ``subjects`` are indexed by the ranks of the events; those of the run lie behind the sequence ``began_after``.
    ``checkpoint`` returns how far they are stored, ``trouble`` says what is wrong now, nothing where all is well.
    """

    def __init__(
        self,
        connection: Connection,
        stream: Stream,
        subjects: Sequence[str],
        delivery: Delivery,
        began_after: int,
        *,
        checkpoint: Callable[[], Checkpoint] = lambda: BEGINNING,
        trouble: Callable[[], str] = str,
        clock: Clock | None = None,
    ) -> None:
        self.changes: list[str] = []
        self._connection = connection
        self._stream = stream
        self._subjects = subjects
        self._delivery = delivery
        self._began_after = began_after
        self._clock = clock or SystemClock()
        self._began_ns = self._clock.time_ns()
        self._seen: _Sight | None = None
        self._fell_short = False
        self._checkpoint = checkpoint
        self._trouble = trouble

    async def keep_looking(self, tell: Callable[[str], None]) -> None:
        """Look every two seconds, until cancelled, and tell what has changed and what is wrong.

        A server that is away is asked again.
        """
        async with asyncio.TaskGroup() as group:  # a server that does not answer a look has nobody kept waiting
            group.create_task(self._keep_telling(tell))
            group.create_task(self._keep_comparing(tell))

    async def _keep_telling(self, tell: Callable[[str], None]) -> None:
        trouble = ""
        while True:
            before, trouble = trouble, self._trouble()
            if trouble and trouble != before:
                tell(trouble)
            await self._clock.wait_until(self._clock.now_ns() + round(LOOK_S * SECOND))

    async def _keep_comparing(self, tell: Callable[[str], None]) -> None:
        while True:
            told = len(self.changes)
            with suppress(BusError):
                await self.look()
            for change in self.changes[told:]:
                tell(change)
            await self._clock.wait_until(self._clock.now_ns() + round(LOOK_S * SECOND))

    async def look(self) -> None:
        """Compare the stream with what it was, and add what was done to it to ``changes``.

        Raises :class:`UnreachableError` and :class:`NoJetStreamError` where it cannot be looked at.
        """
        acknowledged_seq = self._delivery.last_seq or 0
        seen = self._seen or _Sight(
            self._stream.born, self._stream.subjects, self._stream.limits, self._stream.first_seq
        )
        try:
            info = await stream_info(self._connection, self._stream.name)
        except ApiError as error:
            raise UnreachableError(f"stream {self._stream.name} cannot be read: {error.description}") from None
        now = _Sight.of(info) if info is not None else _Sight()
        self._seen = now
        if now.born != seen.born:
            what = "was deleted" if not now.born else "was deleted and made anew"
            self.changes.append(f"stream {self._stream.name} {what}")
        elif now.born:
            self.changes += [f"stream {self._stream.name} {change}" for change in self._done(seen, now)]
            if now.last_seq < acknowledged_seq and self._stream.replicas == 1 and not self._fell_short:
                self._fell_short = True
                self.changes.append(
                    f"stream {self._stream.name} ends at seq {now.last_seq:,}, and the server had acknowledged "
                    f"up to {acknowledged_seq:,}"
                )

    async def account(self) -> Holdings:
        """Ask the stream how many of the run's events it holds; all of them have to be acknowledged.

        Raises :class:`UnreachableError` where the server does not tell within half a minute.
        """
        acknowledged = self._delivery.acked - self._delivery.known
        if not acknowledged:
            return Holdings(self._stream.name, 0)
        until_ns = self._clock.now_ns() + round(_PATIENCE_S * SECOND)
        while True:
            try:
                await self.look()
                held = await self._held(acknowledged)
                kept = await keeps(self._connection, self._stream.name, self._checkpoint())
                break
            except BusError as error:
                if self._clock.now_ns() > until_ns:
                    raise UnreachableError(f"it cannot be told what the stream holds: {error.message}") from None
            await self._clock.wait_until(self._clock.now_ns() + round(STABLE_S * SECOND))
        # Where others publish too, a count does not tell how many of ours are gone, but that some are.
        missing = max(0, acknowledged - held, int(not kept or self._lets_go()))
        expired = min(missing, self._fallen_out())
        self._delivery.lost, self._delivery.expired = missing - expired, expired
        return Holdings(self._stream.name, acknowledged, missing - expired, expired, tuple(self.changes))

    async def _held(self, acknowledged: int) -> int:
        if self._seen is None or not self._seen.born:
            return 0
        after = self._began_after if self._seen.born == self._stream.born else 0
        held, before = 0, -1
        while before < held < acknowledged:  # a new leader may not have stored yet what was agreed upon
            if before >= 0:
                await self._clock.wait_until(self._clock.now_ns() + round(STABLE_S * SECOND))
            before = held
            held, _ = await count_after(self._connection, self._stream.name, self._published, after)
        return held

    def _lets_go(self) -> bool:
        # Whether messages are gone of those that were stored since the run began.
        now = self._seen
        return now is not None and now.born == self._stream.born and now.first_seq - 1 > self._began_after

    def _done(self, seen: _Sight, now: _Sight) -> list[str]:
        # What was done to a stream that stayed the same one.
        done = []
        if gone := [each for each in self._published if captures(seen.subjects, each) > captures(now.subjects, each)]:
            done.append(f"no longer takes {' and '.join(gone)}")
        if now.limits != seen.limits:
            done.append(f"has other limits: {_limits_text(now.limits, seen.limits)}")
        purged = now.first_seq - 1 > max(seen.first_seq - 1, self._began_after)
        if purged and not self._within_limits(now):
            done.append(f"lost all up to seq {now.first_seq - 1:,}: it was purged, or its limits were lowered")
        if seen.deleted is not None and (now.deleted or 0) > seen.deleted:
            done.append("had messages deleted")
        return done

    @property
    def _published(self) -> list[str]:
        return [self._subjects[rank] for rank in sorted(self._delivery.ranks)]

    def _within_limits(self, now: _Sight) -> bool:
        # Whether the limits that the stream had when the run began make it let go of the run's events.
        limits = self._stream.limits
        return bool(
            (limits.max_messages and now.messages >= limits.max_messages)
            or (limits.max_bytes and now.size + _ONE_MESSAGE > limits.max_bytes)
            or (limits.max_age_ns and self._clock.time_ns() - self._began_ns >= limits.max_age_ns)
        )

    def _fallen_out(self) -> int:
        # How many of the run's events can have fallen out by those limits.
        now = self._seen
        if now is None or now.born != self._stream.born or not self._within_limits(now):
            return 0
        return max(0, now.first_seq - 1 - self._began_after)


def _limits_text(limits: Limits, before: Limits) -> str:
    texts = limits.sentences("it")
    if limits.max_age_ns and limits.max_age_ns != before.max_age_ns:
        texts.append(f"it keeps them for {limits.max_age_ns / SECOND:,.0f} s")
    return ", ".join(texts) or "none"
