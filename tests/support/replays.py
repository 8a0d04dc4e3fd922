"""Replays that a test controls: files, a sink that remembers, and the commands between two events."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from spyctl.dbn.sort_times import Selection
from spyctl.replay.player import Surroundings
from spyctl.replay.segments import Journal
from spyctl.replay.session import Replay, ReplayOptions
from spyctl.replay.source import DBNIngestor
from spyctl.replay.targets import Span
from spyctl.replay.volume import Pace, measure
from spyctl.timing.clock import MAX_SPEED
from tests.support.clock import JumpingClock
from tests.support.sinks import RecordingSink

RESETS = "market.resets"


class Controlled:
    """A replay of a folder on a clock that jumps, begun paused; :meth:`do` gives commands and waits until obeyed."""

    def __init__(self, root: Path, *, journal: Journal | None = None, **options: Any) -> None:
        self.sink = RecordingSink()
        self.journals: list[Mapping[str, Any]] = []
        self.clock = JumpingClock()
        infos = DBNIngestor(root).discover_files()
        schedule = measure(infos, options.get("selection", Selection()), Pace(MAX_SPEED, 0)).schedule
        assert schedule is not None
        span = Span(schedule.first_ns, schedule.last_ns)
        given = ReplayOptions(**({"speed": MAX_SPEED, "start_paused": True, "span": span} | options))
        self.replay = Replay(
            infos, self.sink, given, run_id="r", journal=journal, around=Surroundings(self._keep, str), clock=self.clock
        )
        self.running: asyncio.Task[None] | None = None

    async def _keep(self, journal: Mapping[str, Any]) -> None:
        self.journals.append(orjson.loads(orjson.dumps(journal)))

    async def __aenter__(self) -> "Controlled":
        self.running = asyncio.create_task(self.replay.run())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.running is not None
        if not self.running.done():
            await self.do("stop")
        await self.running

    async def do(self, words: str) -> dict[str, Any]:
        """Give a command and wait until it is obeyed."""
        return await self.replay.control.send(words)

    async def end(self) -> None:
        """Wait for the end of the replay."""
        assert self.running is not None
        await self.running

    @property
    def events(self) -> list[tuple[str, bytes]]:
        """Subjects and payloads so far."""
        return self.sink.messages

    @property
    def resets(self) -> list[dict[str, Any]]:
        """The resets so far."""
        return [orjson.loads(payload) for subject, payload in self.events if subject == RESETS]


@dataclass(repr=False)
class Straight:
    """All messages of a folder played straight on, and their sort times."""

    messages: list[tuple[str, bytes]]
    times: list[int]


def straight_on(root: Path) -> Straight:
    """Play a folder from its beginning to its end."""
    sink = RecordingSink()
    infos = DBNIngestor(root).discover_files()
    replay = Replay(infos, sink, ReplayOptions(MAX_SPEED), run_id="r", clock=JumpingClock())
    times: list[int] = []
    publish = sink.publish

    async def noting(batch: Any) -> None:
        times.extend(batch.sort_ns.tolist())
        await publish(batch)

    sink.publish = noting  # type: ignore[method-assign]
    asyncio.run(replay.run())
    return Straight(sink.messages, times)
