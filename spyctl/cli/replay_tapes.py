"""``spyctl replay --source``: tapes, lines through a pipe, or what a stream holds now, as the input of a replay."""

import asyncio
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from spyctl.bus.connection import Connection
from spyctl.bus.target import reach
from spyctl.cli.framework.reporter import Reporter, progress_bar
from spyctl.cli.replay_plan import Request, free_bytes, range_lines
from spyctl.cli.source_stream import source_stream
from spyctl.cli.stream_copy import Copied, StreamCopy, first_seq_at
from spyctl.cli.tail_options import Place, PlaceKind
from spyctl.dbn.choice import parse_days
from spyctl.errors import DamagedFileError, MissingDaysError, NoDataError, UsageError, path_text
from spyctl.market.sessions import parse_time, trading_day_of
from spyctl.market.subjects import SUBJECTS, prefix_of, stream_name, with_prefix
from spyctl.replay.tape_plan import TapePlan, make_tape_plan
from spyctl.replay.tape_source import subject_ranks
from spyctl.replay.tapes.catalog import TapeInfo, inspect_tape, overlaps, scan_tapes
from spyctl.replay.tapes.contents import Origin
from spyctl.replay.tapes.growing import GrowingPlaylist
from spyctl.replay.tapes.order import Choice, TapeOrder
from spyctl.replay.volume import Pace
from spyctl.terminal.text import count, size_text
from spyctl.timing.instants import NEW_YORK, days_text, parse_date, parse_duration, parse_zone, utc_text

STREAM = "stream"
_LONG_COPY = 200_000  # messages
_STDIN = "standard input"
_MADE_BY = "spyctl record makes tapes, spyctl discover lists them"


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """What the command line says of a source that is no folder of files; ``subjects`` are without a prefix.

    With ``follow`` a stream is played on as it comes.
    """

    text: str
    place: Place
    subjects: tuple[str, ...] | None
    order: TapeOrder
    follow: bool = False

    @property
    def stream(self) -> str | None:
        """The stream that is meant, ``None`` where it is none."""
        word, _, name = self.text.partition(":")
        return (name or stream_name()) if word == STREAM and not Path(self.text).exists() else None


@contextmanager
def planned_source(request: Request, source: SourceRequest, reporter: Reporter) -> Iterator[TapePlan]:
    """Return the plan of a replay of a source; what a stream holds, or a pipe brings, is copied for that long.

    Raises :class:`UsageError`, :class:`NoDataError`, and what reading a stream raises.
    """
    if source.stream is None and source.text != "-":
        path = Path(source.text)
        if not path.exists():
            raise NoDataError(f"there is neither a tape nor a folder {path_text(path)}", _MADE_BY)
        yield _plan(request, source, scan_tapes(path), path_text(path), reporter)
        return
    with TemporaryDirectory(prefix="spyctl-") as folder:
        if source.stream is not None:
            with _copied(request, source, source.stream, Path(folder), reporter) as copy:
                infos = scan_tapes(Path(folder))
                growing = GrowingPlaylist(copy) if source.follow and infos else None
                yield _plan(request, source, infos, source.stream, reporter, growing)
            return
        with (Path(folder) / "stdin.jsonl").open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        infos = [_of_stdin(info) for info in scan_tapes(Path(folder))]
        yield _plan(request, source, infos, _STDIN, reporter)


@contextmanager
def _copied(
    request: Request, source: SourceRequest, name: str, folder: Path, reporter: Reporter
) -> Iterator[StreamCopy]:
    # What a stream holds, on tapes, which grow where it is followed.
    if name == stream_name(request.options.prefix) and not request.force:
        message = f"the events of {name} would go into the stream that they come from"
        raise UsageError(message, "--prefix NAME, or --force to have them there twice")
    copy = asyncio.run(_copy_stream(request, source, name, folder, reporter))
    try:
        if source.follow:
            with copy.going_on(request.target):
                yield copy
        else:
            yield copy
    finally:
        copy.close()


async def _copy_stream(
    request: Request, source: SourceRequest, name: str, folder: Path, reporter: Reporter
) -> StreamCopy:
    async with reach(request.target, tell=reporter.line) as reached:
        connection = reached.connection
        info = await source_stream(connection, name, remedy="spyctl live --sim makes one")
        state, prefix = info["state"], prefix_of(name)
        if not state["messages"]:
            where = f"stream {name} at {connection.url}"
            raise NoDataError(f"{where} holds no messages", "spyctl live, or spyctl replay")
        next_seq = await _beginning(connection, name, source.place, state)
        kinds = source.subjects if source.subjects is not None else SUBJECTS
        subjects = tuple(with_prefix(subject, prefix) for subject in kinds)
        number = max(0, state["last_seq"] + 1 - next_seq)
        reporter.block("source", f"copying up to {count('messages', number)} of {name}")
        copy = StreamCopy(Copied(Origin(name, info["created"], prefix, subjects), next_seq, state["last_seq"]), folder)
        try:
            with progress_bar(reporter, "copying", number, long=_LONG_COPY, in_bytes=False) as advance:
                await copy.run(connection, advance)
        except BaseException:
            copy.close()
            raise
        return copy


async def _beginning(connection: Connection, name: str, place: Place, state: dict[str, Any]) -> int:
    # From which sequence on.
    match place:
        case Place(PlaceKind.SEQUENCE, number):
            return max(1, number)
        case Place(PlaceKind.LAST, number):
            return max(1, int(state["last_seq"]) + 1 - number)
        case Place(PlaceKind.TIME, ns):
            return await first_seq_at(connection, name, ns, state)
        case Place(PlaceKind.START):
            return max(1, int(state["first_seq"]))
    raise UsageError("--from new leaves nothing to replay", "--from start, a sequence, -5m or a time")


def _plan(
    request: Request,
    source: SourceRequest,
    infos: Sequence[TapeInfo],
    what: str,
    reporter: Reporter,
    growing: GrowingPlaylist | None = None,
) -> TapePlan:
    if source.follow and source.stream is None:
        raise UsageError("--follow is for a stream", "--source stream --follow")
    if not infos:
        raise NoDataError(f"{what} holds no events that spyctl writes", _MADE_BY)
    infos = [info if info.contents else _read_whole(info, reporter) for info in infos]
    infos = _of_one_prefix(infos, reporter)
    infos = _of_days(request, infos, what)
    options, asked = request.options, request.input
    zone = parse_zone(asked.zone)
    start_ns, end_ns = options.selection.start_ns, options.selection.end_ns
    first_event_ns = min((info.contents.get("first_event_ns") or 0 for info in infos), default=0)
    days = [_day_of_events(info) for info in infos]
    first_day, last_day = min(days), max(days)
    if asked.start is not None:
        start_ns = parse_time(asked.start, first_day, zone)
    if asked.end is not None:
        end_ns = parse_time(asked.end, last_day, zone)
    if asked.duration is not None:
        end_ns = max(start_ns, first_event_ns) + parse_duration(asked.duration)
    if start_ns >= end_ns:
        raise UsageError("the range ends before it begins", "a later --end")
    from_seq, from_stored_ns = 0, 0
    if source.stream is None:
        from_seq, from_stored_ns = _tape_place(source.place)
    choice = Choice(
        order=source.order,
        ranks=subject_ranks(source.subjects) if source.subjects is not None else None,
        start_ns=start_ns,
        end_ns=end_ns,
        from_seq=from_seq,
        from_stored_ns=from_stored_ns,
        reorder_ns=options.selection.reorder_ns,
    )
    pace = Pace(options.speed, options.max_quiet_ns)
    return make_tape_plan(
        infos, choice, pace, what=what, origin=asked.origin, count=options.count, zone=zone, growing=growing
    )


def _of_stdin(info: TapeInfo) -> TapeInfo:
    # Nobody knows the file into which it was copied.
    problem = info.problem
    if problem is not None:
        problem = DamagedFileError(_STDIN, problem.reason, offset=problem.offset, remedy=problem.remedy)
    return replace(info, name=_STDIN, problem=problem)


def _read_whole(info: TapeInfo, reporter: Reporter) -> TapeInfo:
    # Nobody has written down what it holds, as where `record` was killed or still writes.
    reporter.line(f"note: {info.path.name} is read in full to learn what it holds")
    with progress_bar(reporter, "reading", info.size) as advance:
        return inspect_tape(info.path, whole=True, advance=advance) or info


def _day_of_events(info: TapeInfo) -> date:
    # The day that a time without one means: the trading day of a tape, unless its events are of another one.
    first_ns, last_ns = (info.contents.get(f"{word}_event_ns") or 0 for word in ("first", "last"))
    if info.day is not None and (not first_ns or trading_day_of(first_ns) <= info.day <= trading_day_of(last_ns)):
        return info.day
    return trading_day_of(first_ns)


def _tape_place(place: Place) -> tuple[int, int]:
    # The first sequence and the first stored time that are played.
    match place:
        case Place(PlaceKind.START):
            return 0, 0
        case Place(PlaceKind.SEQUENCE, number):
            return number, 0
        case Place(PlaceKind.TIME, ns):
            return 0, ns
    raise UsageError("--from new and --from -N are places in a stream", "--from start, a sequence, or a stored time")


def _of_one_prefix(infos: Sequence[TapeInfo], reporter: Reporter) -> list[TapeInfo]:
    prefixes = sorted({info.prefix for info in infos})
    kept = [info for info in infos if info.prefix == prefixes[0]]
    for info in infos:
        if info.prefix != prefixes[0]:
            reporter.warn(f"{path_text(info.path)} was recorded under the prefix {info.prefix}: name it to play it")
    if prefixes[0]:
        reporter.line(f"note: these events were recorded under the prefix {prefixes[0]}")
    return kept


def _of_days(request: Request, infos: Sequence[TapeInfo], what: str) -> list[TapeInfo]:
    asked = request.input
    held = sorted({info.day for info in infos if info.day is not None})
    if asked.trading_day:
        wanted = {parse_date(asked.trading_day, NEW_YORK)}
    elif asked.dates:
        wanted = parse_days(asked.dates).among(held)
    else:
        return list(infos)
    if missing := sorted(wanted.difference(held)):
        raise MissingDaysError(missing, what, days_text(held))
    return [info for info in infos if info.day in wanted]


def show_tape_plan(reporter: Reporter, plan: TapePlan, request: Request) -> None:
    """Say what would be played, before anything is."""
    lines = range_lines(plan, request)
    if isinstance(plan.source.playlist, GrowingPlaylist):
        lines.append("then what comes")
    if plan.source.choice.order is TapeOrder.STORED:
        jumped = f", since it was recorded from a replay that jumped {plan.jumps:,} times" if plan.jumps else ""
        lines.append(f"in stored order{jumped}")
    reporter.block("plan", *lines)
    for info in plan.tapes:
        reporter.detail(f"tape {path_text(info.path)}: {size_text(info.size)}")
        if info.problem is not None:
            reporter.warn(f"{info.problem.message}: the whole records are played")
        for gap in info.gaps:
            reporter.warn(f"{path_text(info.path)}: {gap.text}")
    for path, other in overlaps(plan.tapes).items():
        reporter.warn(f"{path_text(path)} overlaps {path_text(other)}: what both hold is played once")


def tape_plan_document(plan: TapePlan, request: Request) -> dict[str, Any]:
    """Return the plan as data, for ``--dry-run --json``."""
    volume = plan.volume
    return {
        "dates": plan.dates,
        "origin": plan.origin,
        "source": plan.what,
        "files": [str(info.path) for info in plan.tapes],
        "gaps": [gap.document() for info in plan.tapes for gap in info.gaps],
        "first_ns": volume.first_ns,
        "first_utc": utc_text(volume.first_ns) if volume.first_ns is not None else None,
        "last_ns": volume.last_ns,
        "last_utc": utc_text(volume.last_ns) if volume.last_ns is not None else None,
        "events": sum(volume.events.values()) if volume.known else None,
        "by_subject": volume.events if volume.known else None,
        "exact": volume.exact,
        "order": plan.source.choice.order.value,
        "speed_asked": request.options.speed.number,
        "loops": request.options.loops,
        "wall_s": volume.wall_ns * request.options.loops / 1e9 if volume.wall_ns is not None else None,
        "stream_bytes": plan.stream_bytes * request.options.loops if volume.known else None,
        "free_bytes": free_bytes(request.target),
    }
