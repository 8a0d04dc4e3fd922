"""Shows a replay while it runs: redrawn in place on a terminal, a plain line every 10 s elsewhere."""

import asyncio
import os
import time

from rich.console import Console
from rich.live import Live

from spyctl.cli.talk import Talk
from spyctl.display import Scene, Snapshot, progress_line, render, take_snapshot
from spyctl.replay import Replay

FRAME_S = 0.25
LINE_S = 10.0


async def show_progress(replay: Replay, scene: Scene, talk: Talk) -> None:
    """Show a replay until cancelled; does nothing where the user wants quiet."""
    if talk.quiet:
        return
    if talk.stream.isatty() and os.environ.get("TERM") != "dumb":
        await _redraw(replay, scene, talk)
    else:
        while True:
            await asyncio.sleep(LINE_S)
            talk.line(progress_line(take_snapshot(replay, scene, time.monotonic_ns())))


async def _redraw(replay: Replay, scene: Scene, talk: Talk) -> None:
    history: list[Snapshot] = []
    with Live(console=Console(file=talk.stream), auto_refresh=False, transient=True) as live:
        while True:
            current = take_snapshot(replay, scene, time.monotonic_ns())
            history = [*history[-round(1 / FRAME_S) :], current]
            live.update(render(history[0] if len(history) > 1 else None, current), refresh=True)
            await asyncio.sleep(FRAME_S)
