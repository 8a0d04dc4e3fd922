"""Asking running replays, and showing what they answer."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from spyctl.bus.connection import Connection
from spyctl.bus.control_service import ANSWER_S, command, controllable, unanswered
from spyctl.bus.target import Target, reach
from spyctl.cli.framework.reporter import Reporter, progress_bar
from spyctl.cli.framework.streams import write, write_document
from spyctl.errors import ExitCode, NoSuchRunError, UsageError
from spyctl.terminal.tables import table
from spyctl.timing.clock import Speed
from spyctl.timing.instants import NEW_YORK, clock_on, date_of

_WATCH_S = 0.25
_LOOK_S = 0.5
_SEARCH_S = 3_600.0


async def control(
    target: Target, words: list[str], run: str | None, reporter: Reporter, *, watch: bool, as_json: bool
) -> int:
    """Give a command to a run, or list the runs; returns the exit code. Raises :class:`SpyctlError`."""
    async with reach(target, tell=reporter.line) as reached:
        if not words and not watch:
            return await _list(reached.connection, as_json=as_json)
        if run is None:
            runs = await controllable(reached.connection)
            if len(runs) != 1:
                ids = ", ".join(each["run_id"] for each in runs)
                if runs:
                    raise UsageError(f"{len(runs)} replays are running: {ids}", "name one: --run RUN")
                raise NoSuchRunError(f"no replay is running at {reached.connection.url}", "spyctl replay starts one")
            run = runs[0]["run_id"]
        text = " ".join(words or ["status"])
        if not watch:
            _show(await _obeyed(reached.connection, run, text, reporter), as_json=as_json)
            return ExitCode.OK
        return await _watch(reached.connection, run, as_json=as_json)


async def _obeyed(connection: Connection, run: str, text: str, reporter: Reporter) -> dict[str, Any]:
    # The answer to a command; a search is waited for as long as it goes on, and how far it has come is shown.
    asked = asyncio.create_task(command(connection, run, text, _SEARCH_S))
    looks, done = 0, 0.0
    try:
        with ExitStack() as screen:
            advance: Callable[[float], None] | None = None
            while not (await asyncio.wait([asked], timeout=_LOOK_S))[0]:
                searched = (await command(connection, run, "status")).get("searched")
                if searched is None:
                    looks += 1
                    if looks * _LOOK_S >= ANSWER_S:
                        raise unanswered(run, ANSWER_S)
                    continue
                advance = advance or screen.enter_context(
                    progress_bar(reporter, "searching", 1, long=0, in_bytes=False)
                )
                advance(searched - done)
                looks, done = 0, searched
        return asked.result()
    finally:
        asked.cancel()


async def _watch(connection: Connection, run: str, *, as_json: bool) -> int:
    begun = False
    try:
        while True:
            status = await command(connection, run, "status")
            begun = True
            _show(status, as_json=as_json)
            await asyncio.sleep(_WATCH_S)
    except NoSuchRunError:
        if not begun:
            raise
        return ExitCode.OK  # it has ended


async def _list(connection: Connection, *, as_json: bool) -> int:
    rows = []
    for about in await controllable(connection):
        try:
            rows.append((about, await command(connection, about["run_id"], "status", 1.0)))
        except NoSuchRunError:
            continue  # it has just ended
    if as_json:
        write_document({"runs": [{**about, **status} for about, status in rows]})
    elif rows:
        heads = ("run", "source", "state", "event time", "speed", "done", "where")
        cells = [
            (about["run_id"], about.get("source", ""), status["state"], _event_time(status), _speed(status),
             f"{_share(status):.0%}", about.get("stream", ""))
            for about, status in rows
        ]  # fmt: skip
        for line in table(heads, cells, right={"done"}):
            write(line)
    else:
        write("no replay is running")
    return ExitCode.OK


def _show(status: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        write_document(status)
        return
    parts = [
        f"run {status['run_id']}",
        status["state"],
        f"{_event_time(status)} New York",
        _speed(status),
        f"segment {status['segment']}",
        f"published {status['published']:,}",
        f"acked {status['acked']:,}",
    ]
    if status["waiting_for"]:
        parts.append(f"waiting for {status['waiting_for']}")
    write("   ".join(parts))


def _event_time(status: dict[str, Any]) -> str:
    return clock_on(status["event_ns"], date_of(status["first_ns"]), NEW_YORK)


def _speed(status: dict[str, Any]) -> str:
    return str(Speed.of(status["speed"]))


def _share(status: dict[str, Any]) -> float:
    span_ns = status["last_ns"] - status["first_ns"]
    return min(1.0, max(0.0, (status["event_ns"] - status["first_ns"]) / span_ns)) if span_ns > 0 else 1.0
