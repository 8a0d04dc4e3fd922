"""Draws the pictures of the dashboards and of a day in ``docs/`` from real runs; ``make pictures`` calls it.

The replay is the sample day up to a minute after the open, against a clock that is moved by hand; the live side
is the simulator for some seconds. Both publish into a sink that takes everything.
"""

import asyncio
import io
import random
import re
import time
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.text import Text

from spyctl.bus.consumers import Consumer
from spyctl.bus.in_flight import Delivery
from spyctl.dbn.quality import assess
from spyctl.dbn.quality_picture import draw_quality
from spyctl.dbn.sort_times import Selection
from spyctl.live.feed_policy import equity_policies
from spyctl.live.session import Hooks, LiveOptions, LiveSession
from spyctl.live.snapshot import LiveScene
from spyctl.live.strike_manager import StrikeManager
from spyctl.live.strike_window import StrikeWindow
from spyctl.live.view import LiveView
from spyctl.live.windows import Windows
from spyctl.market.encode import EncodedBatch
from spyctl.market.sessions import regular_session
from spyctl.massive.feed import Feed
from spyctl.massive.normalize import OPTIONS, STOCKS
from spyctl.massive.simulator import KEY, Simulator
from spyctl.replay.session import Replay, ReplayOptions
from spyctl.replay.snapshot import Scene
from spyctl.replay.view import ReplayView
from spyctl.summary import StopReason
from spyctl.timing.clock import Speed
from spyctl.timing.instants import MS, SECOND
from tests.support.clock import JumpingClock
from tests.support.plans import plan_of

ROOT = Path(__file__).parent.parent.parent
CONSUMERS = (Consumer("lake", 1_204, 0.7, 128), Consumer("core", 0, None, 14), Consumer("gateway", 0, None, 0))
SIZES = {"": (80, 24), "-wide": (140, 40)}


class TakesAll:
    """A sink that acknowledges everything a moment later."""

    protocol = "fast ingest"

    def __init__(self) -> None:
        self.delivery = Delivery()
        self._random = random.Random(7)

    async def publish(self, batch: EncodedBatch) -> None:
        delivery = self.delivery
        delivery.published += len(batch)
        delivery.acked += len(batch)
        delivery.payload_bytes += int(batch.lengths.sum())
        delivery.stored(1, delivery.published)
        delivery.ack_ns.add(int(self._random.lognormvariate(13.2, 0.7)), len(batch))

    async def drain(self) -> None:
        pass


def save(drawn: Text, name: str, title: str, columns: int, lines: int) -> None:
    console = Console(record=True, width=columns, height=lines, file=io.StringIO(), force_terminal=True)
    console.print(drawn)
    drawn_svg = console.export_svg(title=title, unique_id=name)
    without_fonts = re.sub(r"@font-face \{.*?\}\s*", "", drawn_svg, flags=re.DOTALL)  # the reader's own will do
    (ROOT / "docs" / f"{name}.svg").write_text(without_fonts)
    print(f"docs/{name}.svg")


async def draw_replay() -> None:
    day = date(2025, 12, 16)
    plan = plan_of(ROOT / "dbn-data", [str(day)], speed=10.0)
    end_ns = regular_session(day)[0] + 67 * SECOND
    clock = JumpingClock()
    sink = TakesAll()
    options = ReplayOptions(Speed(10.0), Selection(end_ns=end_ns, days=plan.selection.days))
    replay = Replay(plan.infos, sink, options, run_id="3kq7", clock=clock)
    assert plan.volume.schedule is not None
    scene = Scene(str(day), "trades + mbp-10 of ES.c.0", True, "embedded", "MARKET_DATA", plan.volume.schedule)
    view = ReplayView(replay, scene, lambda: CONSUMERS, clock=clock)
    playing = asyncio.create_task(replay.run())
    seen = 0
    while not playing.done():
        await asyncio.sleep(0)
        if clock.now_ns() - seen >= 250 * MS:
            seen = clock.now_ns()
            view.snapshot()
    playing.result()
    replay.complete = False
    for suffix, (columns, lines) in SIZES.items():
        save(view.draw(columns, lines), f"replay{suffix}", f"spyctl replay --date {day} --speed 10", columns, lines)


async def draw_live() -> None:
    async with Simulator(1_500.0).serving() as simulator:
        windows = Windows([StrikeWindow(StrikeManager(5, "SPY"), time.time_ns())])
        live = LiveSession(TakesAll(), windows, LiveOptions(), run_id="8c41", hooks=Hooks())
        stocks, options = (Feed(market, KEY, url=simulator.url) for market in (STOCKS, OPTIONS))
        view = LiveView(live, LiveScene("live --sim", "embedded"), "MARKET_DATA", lambda: CONSUMERS)
        running = asyncio.create_task(live.run(equity_policies(stocks, options, windows)))
        until = time.monotonic() + 20
        while time.monotonic() < until:
            view.draw(80, 24)
            await asyncio.sleep(0.25)
        for suffix, (columns, lines) in SIZES.items():
            save(view.draw(columns, lines), f"live{suffix}", "spyctl live --sim", columns, lines)
        live.stop(StopReason.DURATION)
        await running


def draw_day() -> None:
    day = date(2025, 12, 16)
    plan = plan_of(ROOT / "dbn-data", [str(day)])
    title = f"{day:%a} {day}, GLBX.MDP3, ES.c.0, synthetic"
    (ROOT / "docs" / "day.svg").write_text(draw_quality(assess(plan.infos, day), day, title))
    print("docs/day.svg")


async def draw() -> None:
    draw_day()
    await draw_replay()
    await draw_live()


if __name__ == "__main__":
    asyncio.run(draw())
