"""How a replay is told what to do: the queue of commands, and its states.

Keys, requests over NATS and programs put commands into one queue; the replay takes them out between two events.
:data:`TRANSITIONS` says what changes its state, and to which one: a jump comes back to what it interrupted.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from spyctl.errors import ControlError, SpyctlError
from spyctl.replay.commands import (
    Command,
    Pause,
    Resume,
    Sight,
    Status,
    Stop,
    Undo,
    Unit,
    parse_command,
)

MOST_WAITING = 64

Answer = dict[str, Any]


class PlayState(StrEnum):
    """What a replay is doing."""

    PLAYING = "playing"
    PAUSED = "paused"
    SEEKING = "seeking"
    SEEKING_PAUSED = "seeking, then paused"
    FINISHING = "finishing"  # nothing more is read; what is in flight is waited for


class PlayEvent(StrEnum):
    """What changes that."""

    PAUSE = "pause"
    RESUME = "resume"
    STEP = "step"
    JUMP = "jump"
    ARRIVE = "arrived"
    END = "end"


TRANSITIONS = {
    (PlayState.PLAYING, PlayEvent.PAUSE): PlayState.PAUSED,
    (PlayState.PLAYING, PlayEvent.RESUME): PlayState.PLAYING,
    (PlayState.PLAYING, PlayEvent.STEP): PlayState.PAUSED,
    (PlayState.PLAYING, PlayEvent.JUMP): PlayState.SEEKING,
    (PlayState.PLAYING, PlayEvent.END): PlayState.FINISHING,
    (PlayState.PAUSED, PlayEvent.PAUSE): PlayState.PAUSED,
    (PlayState.PAUSED, PlayEvent.RESUME): PlayState.PLAYING,
    (PlayState.PAUSED, PlayEvent.STEP): PlayState.PAUSED,
    (PlayState.PAUSED, PlayEvent.JUMP): PlayState.SEEKING_PAUSED,
    (PlayState.PAUSED, PlayEvent.END): PlayState.FINISHING,
    (PlayState.SEEKING, PlayEvent.ARRIVE): PlayState.PLAYING,
    (PlayState.SEEKING, PlayEvent.END): PlayState.FINISHING,
    (PlayState.SEEKING_PAUSED, PlayEvent.ARRIVE): PlayState.PAUSED,
    (PlayState.SEEKING_PAUSED, PlayEvent.END): PlayState.FINISHING,
    (PlayState.FINISHING, PlayEvent.END): PlayState.FINISHING,
}


class Control:
    """Tells one replay what to do, from any task of its event loop.

    Each method returns the state of the replay once it has obeyed, as ``spyctl ctl status --json`` prints it. All raise
    :class:`UsageError` for what makes no sense and :class:`ControlError` for what is not possible now, also where the
    replay has ended.
    """

    def __init__(self) -> None:
        self.status: Callable[[], Answer] = lambda: {"state": "not begun"}
        self._waiting: deque[tuple[Command, asyncio.Future[Answer]]] = deque()
        self._unanswered: set[asyncio.Future[Answer]] = set()
        self._ended: SpyctlError | None = None
        self.on_command: Callable[[], None] = lambda: None

    async def send(self, command: Command | str) -> Answer:
        """Give a command, as a value or in words (``seek 09:30``), and wait until it is obeyed."""
        return await self.post(parse_command(command.split()) if isinstance(command, str) else command)

    def post(self, command: Command) -> "asyncio.Future[Answer]":
        """Give a command; the future that is returned tells how it went."""
        if self._ended is not None:
            raise self._ended
        if isinstance(command, Status):  # nothing waits for it, and it ends no search
            answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            answered.set_result(self.status())
            return answered
        if len(self._waiting) >= MOST_WAITING:
            raise ControlError(f"{MOST_WAITING} commands are waiting already", "wait for the replay to carry some out")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, answer))
        self._unanswered.add(answer)
        answer.add_done_callback(self._unanswered.discard)
        self.on_command()
        return answer

    # --- for programs

    async def pause(self) -> Answer:
        """Publish nothing from now on; what was due waits."""
        return await self.send(Pause())

    async def resume(self) -> Answer:
        """Go on after a pause, without a jump or a burst."""
        return await self.send(Resume())

    async def step(self, count: int = 1, unit: Unit | str = Unit.EVENTS) -> Answer:
        """Publish the next ``count`` events, trades or seconds and stay paused; below 0, go back before as many."""
        return await self._say("step", count, unit)

    async def speed(self, speed: float | str) -> Answer:
        """Play at another speed; 0 or ``max`` is as fast as acknowledged."""
        return await self._say("speed", speed)

    async def seek(self, to: int | str) -> Answer:
        """Go to the first event at or after a time: Unix ns, ``09:30``, ``open+5m``, ``-10s``."""
        return await self._say("seek", to)

    async def undo(self) -> Answer:
        """Go back to where the last seek began."""
        return await self.send(Undo())

    async def find(self, sight: Sight | str, *, backward: bool = False, lots: int = 50) -> Answer:
        """Go to the next, or the previous, of a kind."""
        least = [lots] if sight == Sight.TRADE else []
        return await self._say("previous" if backward else "next", sight, *least)

    async def mark(self, name: str = "") -> Answer:
        """Remember this place."""
        return await self._say("mark", *([name] if name else []))

    async def go_to(self, name: str) -> Answer:
        """Go to a mark."""
        return await self._say("goto", name)

    async def loop(self, start: str = "", end: str = "") -> Answer:
        """Play from one time or mark to another again and again; without them, end that."""
        return await self._say("loop", *([each for each in (start, end) if each] or ["off"]))

    async def stop(self, *, keep: bool = False) -> Answer:
        """End the replay in order; ``keep`` is for one that is to be resumed here."""
        return await self.send(Stop(keep))

    async def _say(self, *words: object) -> Answer:
        return await self.send(parse_command([str(word) for word in words]))

    # --- for the replay

    @property
    def waiting(self) -> int:
        """How many commands are to be obeyed."""
        return len(self._waiting)

    @property
    def next(self) -> Command | None:
        """The command that has waited longest, ``None`` where none waits."""
        return self._waiting[0][0] if self._waiting else None

    def take(self) -> "tuple[Command, asyncio.Future[Answer]]":
        """Take out the command that has waited longest; there must be one."""
        return self._waiting.popleft()

    def end(self, reason: SpyctlError) -> None:
        """Refuse what waits, what was begun and not answered, and what is still to come."""
        self._ended = reason
        self._waiting.clear()
        for answer in list(self._unanswered):
            refuse(answer, reason)


def settle(answer: "asyncio.Future[Answer]", status: Answer) -> None:
    """Answer a command; nobody may be waiting any more."""
    if not answer.done():
        answer.set_result(status)


def refuse(answer: "asyncio.Future[Answer]", reason: SpyctlError) -> None:
    """Refuse a command; nobody may be waiting any more."""
    if not answer.done():
        answer.set_exception(reason)
        answer.exception()  # who asked may be gone: then it is no error that nobody looks at
