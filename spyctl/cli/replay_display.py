"""What is shown of a replay while it plays: the screen, figures for monitoring, rolls, and damage."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from spyctl.bus.consumers import Consumers
from spyctl.bus.in_flight import Sink
from spyctl.bus.publishing import Publishing
from spyctl.cli.framework.ack_watch import AckWatch
from spyctl.cli.framework.remedies import remedy_for
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.framework.screen import Show
from spyctl.cli.framework.watch import away, watched
from spyctl.cli.replay_options import SinkKind
from spyctl.cli.replay_plan import Request
from spyctl.errors import DamagedDefinitionsError, DamagedFileError
from spyctl.replay.control import PlayState
from spyctl.replay.keys import KeyPad
from spyctl.replay.plan import Plan
from spyctl.replay.result import summary_of
from spyctl.replay.schedule import Schedule
from spyctl.replay.session import Replay
from spyctl.replay.snapshot import Scene
from spyctl.replay.tape_plan import TapePlan
from spyctl.replay.view import ReplayView
from spyctl.terminal.text import count
from spyctl.timing.instants import SECOND, utc_text
from spyctl.timing.tasks import end_task

if TYPE_CHECKING:
    from spyctl.cli.framework.metrics import Figures

AnyPlan = Plan | TapePlan
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the events go: a run on a server, or standard output."""

    sink: Sink
    run_id: str
    where: str = "stdout"
    run: Publishing | None = None
    consumers: Consumers | None = None

    @property
    def connected(self) -> bool:
        """Whether the server can be reached now."""
        return self.run is not None and self.run.connection.connected

    @property
    def stream(self) -> str | None:
        """The stream's name, if there is one."""
        return self.run.stream.name if self.run is not None else None


@asynccontextmanager
async def shown(
    request: Request, plan: AnyPlan, reporter: Reporter, replay: Replay, destination: Destination
) -> AsyncIterator[None]:
    """Show a replay while it goes on, on the screen or in lines, and to monitoring."""
    stream, consumers = destination.stream, destination.consumers
    played = [name for name, number in plan.volume.events.items() if number]
    scene = Scene(
        title=f"{plan.dates[0]}{f' … {plan.dates[-1]}' if len(plan.dates) > 1 else ''}",
        what=f"{' + '.join(played)} of {', '.join(plan.symbols[:3])}",
        synthetic=plan.synthetic,
        where=destination.where,
        stream=stream,
        schedule=plan.volume.schedule or Schedule(0, 0, 0, request.options.speed),
    )
    # Events that scroll by on the same terminal leave no place for a display.
    draws = request.sink is not SinkKind.STDOUT or not sys.stdout.isatty()
    acks = None
    if destination.run is not None:
        acks = AckWatch(replay.delivery, lambda: destination.connected, reporter)
    pad = KeyPad(replay.control, replay.director.ways, reporter.line) if request.keys and draws else None
    view = ReplayView(
        replay,
        scene,
        (lambda: consumers.now) if consumers is not None else None,
        (lambda: acks.waiting_ns) if acks is not None else None,
        pad,
    )
    figures = partial(_figures, replay, consumers, stream, destination.run)
    notes = asyncio.create_task(_tell_rolls(replay, reporter))
    try:
        custody = destination.run.custody if destination.run is not None else None
        show = Show(view.draw, view.line, pad.press if pad is not None else None) if draws else None
        async with watched(reporter, show, acks, consumers, request.metrics, figures, custody):
            yield
    finally:
        await end_task(notes)


def _figures(
    replay: Replay, consumers: Consumers | None, stream: str | None, run: Publishing | None = None
) -> "Figures":
    from spyctl.cli.framework.metrics import Figures

    pace = replay.pace
    gauges = {
        "behind_seconds": pace.behind_ns / SECOND,
        "speed_asked": replay.speed.number,
        "held": replay.held,
        "paused": float(replay.state is PlayState.PAUSED),
    }
    if (achieved := pace.achieved()) is not None:
        gauges["speed_achieved"] = achieved
    if replay.event_ns is not None:
        gauges["event_time_seconds"] = replay.event_ns / SECOND
    begun = pace.last_ns is not None or replay.state is PlayState.PAUSED
    waiting = "the first event" if not begun else away(run.connection) if run is not None else ""
    summary = summary_of(replay, stream)
    return Figures(summary.document(), waiting, consumers.now if consumers is not None else (), gauges)


async def _tell_rolls(replay: Replay, reporter: Reporter) -> None:
    # Says a roll when its time is played; reading is ahead of that.
    told = 0
    try:
        while True:
            await asyncio.sleep(_LOOK_S)
            told = _tell_due_rolls(replay, reporter, told)
    finally:
        _tell_due_rolls(replay, reporter, told)


def _tell_due_rolls(replay: Replay, reporter: Reporter, told: int) -> int:
    for roll in replay.reading.rolls[told:]:
        if (replay.pace.last_ns or 0) < roll.ts_ns:
            break
        reporter.line(
            f"note: {roll.symbol} rolls at {utc_text(roll.ts_ns)[:16]}Z, from instrument {roll.from_id} to "
            f"{roll.to_id}; prices are not adjusted"
        )
        told += 1
    return told


def show_damage(reporter: Reporter, damage: DamagedFileError, unnamed: Sequence[int]) -> None:
    """Say what is wrong with a file; ``unnamed`` are the instruments that are left without a name."""
    more = f"; what is whole ({count('records', damage.records)}) is published, acked" if damage.records else ""
    if isinstance(damage, DamagedDefinitionsError):
        ids = ", ".join(map(str, unnamed[:5])) + (f" and {len(unnamed) - 5:,} more" if len(unnamed) > 5 else "")
        more = f"; without a name: {ids}" if unnamed else "; every instrument has a name all the same"
    reporter.error(damage.message, f"{remedy_for(damage)}{more}")
