"""A replay at one moment, as its screen shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from spyctl.market.events import MBP10, FuturesTrade
from spyctl.replay.control import PlayState
from spyctl.replay.schedule import Schedule
from spyctl.replay.sightings import Trouble
from spyctl.summary import ReplayDetails, RunSummary
from spyctl.terminal.panels import ServerNow
from spyctl.terminal.prints import Print
from spyctl.terminal.process import Usage
from spyctl.timing.clock import Speed
from spyctl.timing.notes import Note


@dataclass(frozen=True, slots=True)
class Subject:
    """One subject: its events, those of the last second, the most in any one second, and the rates of the seconds
    before."""

    name: str
    events: int
    now: int
    peak: int
    rates: Sequence[float]


@dataclass(frozen=True, slots=True)
class Scene:
    """What does not change while a replay runs; ``stream`` is ``None`` where it publishes to none."""

    title: str
    what: str
    synthetic: bool
    where: str
    stream: str | None
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class Position:
    """Where in event time a replay is (Unix ns), ``None`` before the first event.

    In a quiet stretch ``quiet_to_ns`` is the event at its end, due in ``quiet_left_ns``. ``wall_ns`` is how long it
    has been playing, ``left_ns`` how long what is left will take (``None``: not known), ``share`` how much of all that
    is done, 0 to 1.
    """

    event_ns: int | None
    quiet_to_ns: int | None = None
    quiet_left_ns: int = 0
    wall_ns: int | None = None
    left_ns: int | None = None
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class SpeedNow:
    """The speed asked for, the speed over the last second, and how overdue the next event is, or for how long nothing
    was stored; ``reason`` is what holds it up."""

    asked: Speed
    now: float | None
    behind_ns: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ControlNow:
    """How a replay is controlled: whether by ``keys``, in how much ``detail`` it is shown, what is typed after
    ``prompt`` (``None``: nothing is), marks and a loop (event times), whom it waits for, and how much of a search is
    done, 0 to 1 (``None``: there is none)."""

    state: PlayState = PlayState.PLAYING
    keys: bool = False
    all_keys: bool = False
    detail: bool = True
    prompt: str | None = None
    segment: int = 0
    marks: Sequence[int] = ()
    loop: tuple[int, int] | None = None
    loop_start_ns: int | None = None
    waiting_for: str = ""
    searched: float | None = None


@dataclass(frozen=True, slots=True)
class MarketNow:
    """The market: the last futures trade and book, the middle of the book in the parts of the plan, the
    last trades of all subjects, the newest first, and the largest size that a book has shown so far."""

    book: MBP10 | None = None
    trade: FuturesTrade | None = None
    prices: Sequence[float | None] = ()
    tape: Sequence[Print] = ()
    largest_size: int = 1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A replay at one moment.

    ``total`` is the sum of the subjects; ``density`` holds events per second of event time in the parts of the plan;
    ``notes`` are the newest last. ``rolls`` and ``troubles`` are event times.
    """

    scene: Scene
    summary: RunSummary[ReplayDetails]
    position: Position
    speed: SpeedNow
    subjects: Sequence[Subject]
    total: Subject
    market: MarketNow
    server: ServerNow
    density: Sequence[float]
    notes: Sequence[Note]
    warnings: int
    usage: Usage
    control: ControlNow = ControlNow()
    rolls: Sequence[int] = ()
    troubles: Mapping[Trouble, Sequence[int]] = field(default_factory=dict)
