"""What a replay can be told while it runs, as values; keys, requests and the Python API only make them.

:func:`parse_command` is the one grammar: ``pause``, ``step 5 trades``, ``speed 10``, ``seek 09:30``, ``next trade 50``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from spyctl.errors import UsageError
from spyctl.timing.clock import MAX_SPEED, REAL_TIME, Speed, parse_speed

LADDER = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0)  # then max
SLOWEST = 0.001
_LARGE_TRADE = 50
_MOST_STEPS = 1_000_000


class Unit(StrEnum):
    """What a step counts."""

    EVENTS = "events"
    TRADES = "trades"
    SECONDS = "seconds"


class Sight(StrEnum):
    """What a replay can jump to."""

    TRADE = "trade"  # of at least so many lots
    SPREAD = "spread"  # wider than one tick
    QUIET = "quiet"  # the end of a quiet stretch
    LATE = "late"
    ROLL = "roll"
    SESSION = "session"  # 18:00, 09:30, 10:00, 15:50, 16:00 New York
    MARK = "mark"
    PLACE = "place"  # a session time or a mark
    GAP = "gap"  # a ``Gap`` on a tape
    TROUBLE = "trouble"  # late, a gap, or quiet


@dataclass(frozen=True, slots=True)
class Pause:
    """Publish nothing; what was due waits."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on after a pause."""


@dataclass(frozen=True, slots=True)
class Toggle:
    """Pause, or go on."""


@dataclass(frozen=True, slots=True)
class Step:
    """Publish the next so many and stay paused; below 0: go back before as many. Raises :class:`UsageError` for 0."""

    count: int = 1
    unit: Unit = Unit.EVENTS

    def __post_init__(self) -> None:
        if not 0 < abs(self.count) <= _MOST_STEPS:
            raise UsageError(
                f"a step of {self.count:,} is not possible", f"1 to {_MOST_STEPS:,}, or below 0 to go back"
            )


@dataclass(frozen=True, slots=True)
class SetSpeed:
    """Play at a speed from now on."""

    speed: Speed


@dataclass(frozen=True, slots=True)
class ShiftSpeed:
    """Go so many rungs up (below 0: down) the ladder of speeds."""

    rungs: int


@dataclass(frozen=True, slots=True)
class ScaleSpeed:
    """Multiply the speed."""

    factor: float


@dataclass(frozen=True, slots=True)
class Seek:
    """Go to the first event at or after a time: ``09:30``, ``open``, ``close-5m``, ``+10s``, ISO, Unix ns."""

    to: str


@dataclass(frozen=True, slots=True)
class Undo:
    """Go back to where the last seek began."""


@dataclass(frozen=True, slots=True)
class Find:
    """Go to the next, or the previous, of a kind; ``lots`` is the least size of a trade."""

    sight: Sight
    backward: bool = False
    lots: int = _LARGE_TRADE


@dataclass(frozen=True, slots=True)
class Mark:
    """Remember this place; without a name as ``m1``, ``m2``, …"""

    name: str = ""


@dataclass(frozen=True, slots=True)
class GoTo:
    """Go to a mark."""

    name: str


@dataclass(frozen=True, slots=True)
class Loop:
    """Play from one time, or mark, to another one again and again; without them, end that."""

    start: str = ""
    end: str = ""


@dataclass(frozen=True, slots=True)
class LoopHere:
    """Set the start of a loop here, then its end, then end it: one key for all."""


@dataclass(frozen=True, slots=True)
class Status:
    """Change nothing, and say how things stand."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End the replay in order; ``keep`` is for one that is to be resumed here."""

    keep: bool = False


Command = (
    Pause | Resume | Toggle | Step | SetSpeed | ShiftSpeed | ScaleSpeed | Seek | Undo | Find | Mark | GoTo | Loop
    | LoopHere | Status | Stop
)  # fmt: skip

_PLAIN: dict[str, Command] = {
    "pause": Pause(),
    "resume": Resume(),
    "toggle": Toggle(),
    "faster": ShiftSpeed(1),
    "slower": ShiftSpeed(-1),
    "double": ScaleSpeed(2.0),
    "halve": ScaleSpeed(0.5),
    "realtime": SetSpeed(REAL_TIME),
    "max": SetSpeed(MAX_SPEED),
    "undo": Undo(),
    "status": Status(),
}


def parse_command(words: Sequence[str]) -> Command:
    """Read a command from its words. Raises :class:`UsageError`."""
    verb, *arguments = [word.replace("−", "-") for word in words] or [""]
    verb = verb.lower()
    if verb in _PLAIN:
        return _PLAIN[verb] if not arguments else _refuse(verb, f"{verb} alone")
    if verb not in _WITH_ARGUMENTS:
        raise UsageError(f"there is no command {verb!r}", f"one of {', '.join(VERBS)}")
    return _WITH_ARGUMENTS[verb](arguments)


def _refuse(verb: str, usage: str) -> Command:
    raise UsageError(f"{verb} was not understood", usage)


def _step(arguments: list[str]) -> Command:
    usage = "step, step 10, step -5 trades, step 2 seconds"
    if len(arguments) > 2:
        return _refuse("step", usage)
    number, unit = (arguments + ["1", Unit.EVENTS][len(arguments) :])[:2]
    try:
        count = int(number)
        wanted = next(each for each in Unit if unit and each.value.startswith(unit.lower()))
    except (ValueError, StopIteration):
        return _refuse("step", usage)
    return Step(count, wanted)


def _speed(arguments: list[str]) -> Command:
    return SetSpeed(checked_speed(arguments[0])) if len(arguments) == 1 else _refuse("speed", "speed 10, speed max")


def checked_speed(text: str) -> Speed:
    """Read a speed that a person can wait for. Raises :class:`UsageError`."""
    speed = parse_speed(text)
    if speed.rate is not None and speed.rate < SLOWEST:
        raise UsageError(f"{speed} is too slow", f"{SLOWEST:g} or more; or pause, and step")
    return speed


def _seek(arguments: list[str]) -> Command:
    usage = "seek 09:30, seek open+5m, seek +10s, seek 2025-12-16T14:30Z"
    return Seek(arguments[0]) if len(arguments) == 1 else _refuse("seek", usage)


def _find(arguments: list[str], *, backward: bool) -> Command:
    verb = "previous" if backward else "next"
    usage = f"{verb} trade 50; {verb} {', '.join(Sight)}"
    try:
        sight = Sight(arguments[0].lower())
        lots = int(arguments[1]) if len(arguments) > 1 else _LARGE_TRADE
    except (IndexError, ValueError):
        return _refuse(verb, usage)
    if len(arguments) > (2 if sight is Sight.TRADE else 1) or lots < 1:
        return _refuse(verb, usage)
    return Find(sight, backward, lots)


def _mark(arguments: list[str]) -> Command:
    return Mark(*arguments) if len(arguments) < 2 else _refuse("mark", "mark, mark NAME")


def _goto(arguments: list[str]) -> Command:
    return GoTo(arguments[0]) if len(arguments) == 1 else _refuse("goto", "goto NAME")


def _loop(arguments: list[str]) -> Command:
    if [word.lower() for word in arguments] == ["off"]:
        return Loop()
    return Loop(*arguments) if len(arguments) == 2 else _refuse("loop", "loop 09:30 09:31, loop m1 m2, loop off")


def _stop(arguments: list[str]) -> Command:
    keep = [word.lstrip("-") for word in arguments] == ["keep"]
    return Stop(keep) if keep or not arguments else _refuse("stop", "stop, stop keep")


_WITH_ARGUMENTS: dict[str, Callable[[list[str]], Command]] = {
    "step": _step,
    "speed": _speed,
    "seek": _seek,
    "next": lambda arguments: _find(arguments, backward=False),
    "previous": lambda arguments: _find(arguments, backward=True),
    "mark": _mark,
    "goto": _goto,
    "loop": _loop,
    "stop": _stop,
}
VERBS = (*_PLAIN, *_WITH_ARGUMENTS)


def shifted(speed: Speed, rungs: int) -> Speed:
    """Return the speed so many rungs up or down the ladder; its ends are kept."""
    rates = [*LADDER, float("inf")]
    rate = speed.rate if speed.rate is not None else float("inf")
    if rungs > 0:
        faster = [each for each in rates if each > rate]
        rate = faster[min(rungs, len(faster)) - 1] if faster else rate
    else:
        slower = [each for each in rates if each < rate]
        rate = slower[max(len(slower) + rungs, 0)] if slower else rate
    return MAX_SPEED if rate == float("inf") else Speed(rate)


def scaled(speed: Speed, factor: float) -> Speed:
    """Return a multiple of a speed within what is possible; max stays max."""
    if speed.rate is None:
        return speed
    return Speed(min(max(speed.rate * factor, SLOWEST), 1e6))
