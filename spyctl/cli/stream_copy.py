"""A copy of what a stream holds, on tapes in a folder, which can go on growing while it is played."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spyctl.bus.connection import Connection
from spyctl.bus.contents import message_at
from spyctl.bus.durable import DurableReader
from spyctl.bus.reader import LOOK_S, SILENCE_S
from spyctl.bus.target import Target, reach
from spyctl.errors import BusError, SpyctlError, UnreachableError
from spyctl.replay.tapes.contents import Missing, Origin
from spyctl.replay.tapes.recording import Recording

_READ_S = 0.1
_GONE = "they were no longer in the stream when they were to be played"


@dataclass(frozen=True, slots=True)
class Copied:
    """Which part of a stream is copied: from ``next_seq`` on, what is on ``origin``'s subjects."""

    origin: Origin
    next_seq: int
    last_seq: int


class StreamCopy:
    """Copies a stream into a folder, by a consumer that is taken away again.

    As an input that grows it is a :class:`spyctl.replay.tapes.growing.Growth`. ``failure`` is what ended it early.
    """

    def __init__(self, copied: Copied, folder: Path) -> None:
        self.recording = Recording(folder, copied.origin)
        self.failure: SpyctlError | None = None
        self._copied = copied
        self._name = f"replay-{folder.name}".replace(".", "-")
        self._stopping = threading.Event()
        self._ended = False

    async def run(self, connection: Connection, advance: Callable[[float], None]) -> None:
        """Copy what is stored now; ``advance`` takes how many messages that were. Raises :class:`BusError`."""
        await self._read(connection, self._copied.last_seq, advance)

    @contextmanager
    def going_on(self, target: Target) -> Iterator[None]:
        """Copy what comes meanwhile, in a thread of its own."""
        thread = threading.Thread(target=self._go_on, args=(target,), name="stream copy")
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            thread.join()

    def close(self) -> None:
        """End the tapes in order."""
        self.recording.close()

    # --- as an input that grows

    @property
    def tapes(self) -> Sequence[tuple[Path, int]]:
        """The tapes so far, and how much of each can be read."""
        tape = self.recording.tape
        paths = self.recording.tapes
        return [(path, tape.size if tape is not None and path == tape.path else path.stat().st_size) for path in paths]

    @property
    def ended(self) -> bool:
        """Whether nothing more will come. Raises what ended it early."""
        if self.failure is not None:
            raise self.failure
        return self._ended

    def _go_on(self, target: Target) -> None:
        async def copy() -> None:
            async with reach(target, tell=lambda _: None) as reached:
                await self._read(reached.connection, None, lambda _: None)

        try:
            asyncio.run(copy())
        except SpyctlError as error:
            self.failure = error
        finally:
            self._ended = True

    async def _read(self, connection: Connection, last_seq: int | None, advance: Callable[[float], None]) -> None:
        origin, recording = self._copied.origin, self.recording
        next_seq = recording.next_seq or self._copied.next_seq
        reader = DurableReader(connection, origin.stream, origin.born, self._name, origin.subjects, next_seq)
        loop, holes = asyncio.get_running_loop(), 0
        heard_s = looked_s = loop.time()
        try:
            while not self._stopping.is_set() and (last_seq is None or reader.read_to_seq < last_seq):
                messages = await reader.read(_READ_S)
                if last_seq is not None:
                    messages = [message for message in messages if message.seq <= last_seq]
                for first, last in reader.holes[holes:]:
                    recording.note_missing(Missing(first, last, _GONE))
                holes = len(reader.holes)
                if messages:
                    await asyncio.to_thread(recording.write, messages, reader.read_to_seq)
                    await reader.acknowledge()
                    advance(len(messages))
                now_s = loop.time()
                heard_s = now_s if messages or connection.connected else heard_s
                if last_seq is not None and now_s - heard_s > SILENCE_S:
                    raise UnreachableError(f"{connection.url} fell silent while {origin.stream} was copied")
                if not messages and (last_seq is not None or now_s - looked_s > LOOK_S):
                    looked_s = now_s
                    if await reader.look() and last_seq is not None:
                        break  # nothing that is wanted is left
        finally:
            await reader.close()
            with suppress(BusError):
                await connection.api(f"CONSUMER.DELETE.{origin.stream}.{self._name}")


async def first_seq_at(connection: Connection, stream: str, stored_ns: int, state: dict[str, Any]) -> int:
    """Return the sequence of the first message that was stored at ``stored_ns`` or later, behind the last one where
    there is none; a few looks tell."""
    low, high = int(state["first_seq"]), int(state["last_seq"]) + 1
    while low < high:
        middle = (low + high) // 2
        message = await message_at(connection, stream, {"seq": middle, "next_by_subj": ">"})
        if message is None or message.stored_ns >= stored_ns:
            high = middle
        else:
            low = message.seq + 1
    return low
