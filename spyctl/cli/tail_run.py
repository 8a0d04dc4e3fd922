"""Following the stream: find it, find the place, show what comes."""

import asyncio
import fcntl
import os
import stat
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from rich.console import Console

from spyctl.bus.connection import ApiError, Connection
from spyctl.bus.reader import follow
from spyctl.bus.stream import count_after
from spyctl.bus.target import Target, reach
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.framework.screen import show_progress
from spyctl.cli.framework.signals import Interruption
from spyctl.cli.framework.streams import drop
from spyctl.errors import ExitCode, NoDataError
from spyctl.market.subjects import stream_name
from spyctl.terminal.event_lines import HEADING, Stored, TextLines, Wanted, json_lines, payload_lines
from spyctl.terminal.stream_stats import Tally
from spyctl.timing.instants import SECOND
from spyctl.timing.tasks import end_task

_POLL_S = 0.25
_PIPE_BYTES = 1 << 20
_SHORT_REPLY = 8  # dots of a reply subject without domain, account and random token


@dataclass(frozen=True, slots=True)
class TailRequest:
    """What the command line asks for; ``form`` is text, json, raw or stats."""

    target: Target
    prefix: str
    wanted: Wanted
    place: tuple[str, int]
    until_end: bool
    count: int | None
    form: str
    as_json: bool


async def run_tail(request: TailRequest, talk: Reporter) -> int:
    """Show events until told to end; returns the exit code. Raises :class:`SpyctlError`."""
    interruption = Interruption()
    shower = _Shower(request)
    try:
        async with reach(request.target, tell=talk.line) as reached:
            tally = asyncio.create_task(show_progress(shower.tally.draw, shower.tally.line, talk))
            if request.form != "stats":
                await end_task(tally)
            try:
                await _show(request, talk, reached.connection, shower)
            finally:
                await end_task(tally)
    except asyncio.CancelledError:
        if shower.left:
            drop(sys.stdout)
            return ExitCode.OK  # whoever read our lines has had enough
        if interruption.code is None:
            raise
    shower.close(talk)
    return interruption.code if interruption.code is not None else ExitCode.OK


async def _show(request: TailRequest, talk: Reporter, connection: Connection, shower: "_Shower") -> None:
    info = await _stream(request, talk, connection)
    state = info["state"]
    name, last_seq = info["config"]["name"], state["last_seq"]
    start = await _start(request, connection, name, state)
    if request.until_end and (start is None or start.get("opt_start_seq", 1) > last_seq):
        return
    if request.form == "text":
        talk.line(HEADING)
    left = request.count
    async with aclosing(_messages(connection, name, start or {"deliver_policy": "new"})) as messages:
        async for batch in messages:
            found = _wanted(request.wanted, batch)
            if request.until_end and found and found[-1].seq > last_seq:
                found = [one for one in found if one.seq <= last_seq]
            found = found[:left] if left is not None else found
            shower.show(found)
            left = left - len(found) if left is not None else None
            ended = request.until_end and (not batch or batch[-1].seq >= last_seq or not batch[-1].pending)
            if left == 0 or ended:
                return


async def _stream(request: TailRequest, talk: Reporter, connection: Connection) -> dict[str, Any]:
    name, told = stream_name(request.prefix), False
    while True:
        try:
            return await connection.api(f"STREAM.INFO.{name}")
        except ApiError as error:
            if error.code != 404:
                raise NoDataError(f"stream {name} at {connection.url} cannot be read: {error}") from None
        if request.until_end:
            raise NoDataError(f"there is no stream {name} at {connection.url}", "spyctl replay, or spyctl live --sim")
        if not told:
            talk.line(f"waiting for stream {name} at {connection.url}")
            told = True
        await asyncio.sleep(_POLL_S)


async def _start(
    request: TailRequest, connection: Connection, name: str, state: dict[str, Any]
) -> dict[str, Any] | None:
    # Where the consumer begins; None where nothing of what is stored is wanted.
    kind, number = request.place
    if kind == "new":
        return None
    if kind == "time":
        text = f"{datetime.fromtimestamp(number // SECOND, UTC):%Y-%m-%dT%H:%M:%S}.{number % SECOND:09d}Z"
        return {"deliver_policy": "by_start_time", "opt_start_time": text}
    first, last = max(1, state["first_seq"]), state["last_seq"]
    if kind == "last":
        number = await _last(request, connection, name, first, last, number)
    return {"deliver_policy": "by_start_sequence", "opt_start_seq": max(first, number)}


async def _last(request: TailRequest, connection: Connection, name: str, first: int, last: int, wanted: int) -> int:
    # The sequence from which on the stream holds the last so many events of the subjects.
    subjects = sorted(request.wanted.subjects)
    low, high = first, last + 1
    while low < high:
        middle = (low + high) // 2
        count, _ = await count_after(connection, name, subjects, middle - 1)
        low, high = (middle + 1, high) if count > wanted else (low, middle)
    return low


async def _messages(connection: Connection, name: str, start: dict[str, Any]) -> AsyncGenerator[list[Stored], None]:
    async with aclosing(follow(connection, name, start)) as batches:
        async for batch in batches:
            # $JS.ACK.[domain.account.]stream.consumer.delivered.seq.consumer seq.time.pending[.random]
            tail = 4 if not batch or batch[0].reply.count(".") == _SHORT_REPLY else 5
            found = []
            for message in batch:
                _, seq, _, stored_ns, pending, *_ = message.reply.rsplit(".", tail)
                found.append(Stored(int(seq), message.subject, int(stored_ns), message.data, int(pending)))
            yield found


def _wanted(wanted: Wanted, batch: list[Stored]) -> list[Stored]:
    subjects = wanted.subjects
    found = [one for one in batch if one.subject in subjects]
    return [one for one in found if _wants(wanted, one.payload)] if wanted.looks_inside else found


def _wants(wanted: Wanted, payload: bytes) -> bool:
    try:
        event = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return False
    return isinstance(event, dict) and wanted.wants(event)


class _Shower:
    # Writes events in the form that was asked for.
    def __init__(self, request: TailRequest) -> None:
        self.tally = Tally()
        self._form = request.form
        self._as_json = request.as_json
        self._lines = TextLines()
        self.left = False
        descriptor = sys.stdout.fileno()
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            _widen(descriptor)
            self._watch(descriptor)

    def _watch(self, descriptor: int) -> None:
        # Nothing may come for hours, so that no write would tell that the reader has left.
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def left() -> None:
            loop.remove_reader(descriptor)
            self.left = True
            if task is not None:
                task.cancel()

        with suppress(OSError, NotImplementedError):
            loop.add_reader(descriptor, left)

    def show(self, messages: list[Stored]) -> None:
        if self._form == "stats":
            for message in messages:
                self.tally.add(message)
        elif self._form == "text":
            sys.stdout.write("".join(f"{self._lines.line(message)}\n" for message in messages))
            sys.stdout.flush()
        else:
            write = json_lines if self._form == "json" else payload_lines
            sys.stdout.buffer.write(write(messages))
            sys.stdout.buffer.flush()

    def close(self, talk: Reporter) -> None:
        if self._form == "stats" and self._as_json:
            sys.stdout.write(orjson.dumps(self.tally.document(), option=orjson.OPT_INDENT_2).decode() + "\n")
        elif self._form == "stats":
            Console(file=sys.stdout).print(self.tally.draw())
        if self._lines.undecoded:
            talk.warn(f"{self._lines.undecoded:,} messages are none of ours")


def _widen(descriptor: int) -> None:
    # A pipe that holds more costs fewer changes between us and its reader. Only Linux knows how.
    with suppress(OSError, AttributeError):
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
