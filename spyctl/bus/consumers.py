"""Who reads a stream, and how far behind each consumer is."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from spyctl.bus.connection import ApiError, Connection
from spyctl.bus.contents import StoredMessage
from spyctl.errors import SpyctlError, UsageError
from spyctl.timing.clock import Clock, SystemClock
from spyctl.timing.instants import MS, SECOND

LOOK_S = 1.0
_ASK_NS = 100 * MS
_MAX_AGES = 8  # consumers whose oldest undelivered message is asked for
_OWN = "count-"  # what contents.count_after makes for a moment


@dataclass(frozen=True, slots=True)
class Consumer:
    """A consumer at a moment: ``behind`` messages are not delivered, the oldest of them stored ``behind_s`` ago;
    ``unacked`` are delivered and not yet acknowledged."""

    name: str
    behind: int
    behind_s: float | None
    unacked: int


@dataclass(frozen=True, slots=True)
class ConsumerLimit:
    """A durable consumer, and how many messages it may be behind before a run waits for it."""

    name: str
    most: int = 1_000

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``NAME`` or ``NAME:N``. Raises :class:`UsageError`."""
        name, colon, number = text.partition(":")
        if not name or not name.isprintable() or set(name) & set(" .*>/\\") or (colon and not number.isdecimal()):
            raise UsageError(f"{text!r} does not name a consumer", "NAME, or NAME:5000")
        return cls(name, int(number)) if colon else cls(name)


class Backpressure:
    """How far behind a consumer is that a run waits for: what it had not got when it was last asked, and all that was
    published since."""

    def __init__(self, connection: Connection, stream: str, limit: ConsumerLimit, published: Callable[[], int]) -> None:
        self._connection = connection
        self._subject = f"CONSUMER.INFO.{stream}.{limit.name}"
        self._limit = limit
        self._published = published
        self._seen: tuple[int, int] | None = None  # behind, and how much was published when it was asked for that

    @property
    def reason(self) -> str:
        """Say whom the run waits for, nothing where the consumer keeps up, or is not there."""
        if self._seen is None:
            return ""
        behind = self._seen[0] + self._published() - self._seen[1]
        return f"consumer {self._limit.name}, {behind:,} behind" if behind > self._limit.most else ""

    async def keep_looking(self) -> None:
        """Ask ten times a second, until cancelled."""
        clock = SystemClock()
        while True:
            published = self._published()
            try:
                info = await self._connection.api(self._subject)
                self._seen = info["num_pending"], published
            except ApiError:
                self._seen = None  # it has been deleted
            except SpyctlError:
                pass  # the server is away, which is waited for anyway
            await clock.wait_until(clock.now_ns() + _ASK_NS)


class Consumers:
    """Looks at a stream's consumers now and then, off the path of the events; ``now`` is what it saw last."""

    def __init__(self, connection: Connection, stream: str, *, clock: Clock | None = None) -> None:
        self.now: tuple[Consumer, ...] = ()
        self._connection = connection
        self._stream = stream
        self._clock = clock or SystemClock()

    async def keep_looking(self) -> None:
        """Look every second, until cancelled; a server that does not answer is asked again."""
        while True:
            with suppress(ApiError, SpyctlError):
                self.now = await self.look()
            await self._clock.wait_until(self._clock.now_ns() + round(LOOK_S * SECOND))

    async def look(self) -> tuple[Consumer, ...]:
        """Return the consumers, those that are furthest behind first. Raises what the connection raises."""
        answer = await self._connection.api(f"CONSUMER.LIST.{self._stream}", {"offset": 0})
        infos = [info for info in answer.get("consumers") or () if not info["name"].startswith(_OWN)]
        infos.sort(key=lambda info: (-info["num_pending"], info["name"]))
        consumers = []
        for i, info in enumerate(infos):
            behind_s = await self._age(info) if info["num_pending"] and i < _MAX_AGES else None
            consumers.append(Consumer(info["name"], info["num_pending"], behind_s, info["num_ack_pending"]))
        return tuple(consumers)

    async def _age(self, info: dict[str, Any]) -> float | None:
        # How long ago the first message was stored that this consumer has not been given.
        request: dict[str, Any] = {"seq": info["delivered"]["stream_seq"] + 1}
        if subject := info["config"].get("filter_subject"):
            request["next_by_subj"] = subject
        try:
            reply = await self._connection.api(f"STREAM.MSG.GET.{self._stream}", request)
        except ApiError:
            return None  # expired meanwhile
        return max(0.0, (self._clock.time_ns() - StoredMessage.of(reply["message"]).stored_ns) / SECOND)
