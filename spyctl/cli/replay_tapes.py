"""``spyctl replay --source``: tapes, lines through a pipe, or what a stream holds now, as the input of a replay."""

import asyncio
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from spyctl.bus.reader import read_messages
from spyctl.bus.target import reach
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.replay_plan import Request, free_bytes, range_lines
from spyctl.cli.source_stream import source_stream
from spyctl.cli.tail_options import Place, PlaceKind
from spyctl.dbn.choice import parse_days
from spyctl.errors import MissingDaysError, NoDataError, NoDataFolderError, UsageError, path_text
from spyctl.market.sessions import parse_time, trading_day_of
from spyctl.market.subjects import SUBJECTS, prefix_of, stream_name, with_prefix
from spyctl.replay.tape_plan import TapePlan, make_tape_plan
from spyctl.replay.tape_source import subject_ranks
from spyctl.replay.tapes.catalog import TapeInfo, inspect_tape, overlaps, scan_tapes
from spyctl.replay.tapes.contents import Origin
from spyctl.replay.tapes.order import Choice, TapeOrder
from spyctl.replay.tapes.recording import Recording
from spyctl.replay.volume import Pace
from spyctl.terminal.text import count, size_text
from spyctl.timing.instants import NEW_YORK, days_text, parse_date, parse_duration, parse_zone, utc_text

STREAM = "stream"


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """What the command line says of a source that is no folder of files; ``subjects`` are without a prefix."""

    text: str
    place: Place
    subjects: tuple[str, ...] | None
    order: TapeOrder

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
            raise NoDataFolderError(f"there is no tape and no folder {path_text(path)}")
        yield _plan(request, source, scan_tapes(path), path_text(path), reporter)
        return
    with TemporaryDirectory(prefix="spyctl-") as folder:
        if source.stream is not None:
            asyncio.run(_copy_stream(request, source, source.stream, Path(folder), reporter))
            what = source.stream
        else:
            with (Path(folder) / "stdin.jsonl").open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
            what = "stdin"
        yield _plan(request, source, scan_tapes(Path(folder)), what, reporter)


async def _copy_stream(request: Request, source: SourceRequest, name: str, folder: Path, reporter: Reporter) -> None:
    if name == stream_name(request.options.prefix) and not request.force:
        message = f"the events of {name} would go into the stream that they come from"
        raise UsageError(message, "--prefix NAME, or --force to have them there twice")
    async with reach(request.target, tell=reporter.line) as reached:
        connection = reached.connection
        info = await source_stream(connection, name, remedy="spyctl live --sim makes one")
        if not info["state"]["messages"]:
            where = f"stream {name} at {connection.url}"
            raise NoDataError(f"{where} holds no messages", "spyctl live, or spyctl replay")
        state, prefix = info["state"], prefix_of(name)
        after_seq, stored_ns = _beginning(source.place, state)
        kinds = source.subjects if source.subjects is not None else SUBJECTS
        subjects = [with_prefix(subject, prefix) for subject in kinds]
        reporter.block("source", f"copying up to {count('messages', state['last_seq'] - after_seq)} of {name}")
        recording = Recording(folder, Origin(name, info.get("created", ""), prefix, tuple(subjects)))
        try:
            async for batch in read_messages(connection, name, subjects, after_seq, state["last_seq"]):
                messages = [one for one in batch if one.stored_ns >= stored_ns]
                if messages:
                    await asyncio.to_thread(recording.write, messages, messages[-1].seq)
        finally:
            recording.close()


def _beginning(place: Place, state: dict[str, Any]) -> tuple[int, int]:
    # Behind which sequence, and from which stored time on.
    match place:
        case Place(PlaceKind.SEQUENCE, number):
            return max(0, number - 1), 0
        case Place(PlaceKind.LAST, number):
            return max(0, state["last_seq"] - number), 0
        case Place(PlaceKind.TIME, ns):
            return max(0, state["first_seq"] - 1), ns
        case Place(PlaceKind.START):
            return max(0, state["first_seq"] - 1), 0
    raise UsageError("--from new leaves nothing to replay", "--from start, a sequence, -5m or a time")


def _plan(
    request: Request, source: SourceRequest, infos: Sequence[TapeInfo], what: str, reporter: Reporter
) -> TapePlan:
    if not infos:
        raise NoDataError(f"{what} holds no events of ours", "spyctl record makes tapes, spyctl discover lists them")
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
    return make_tape_plan(infos, choice, pace, what=what, origin=asked.origin, count=options.count, zone=zone)


def _read_whole(info: TapeInfo, reporter: Reporter) -> TapeInfo:
    # Nobody has written down what it holds, as where `record` was killed or still writes.
    reporter.line(f"note: {info.path.name} is read whole, to know what it holds")
    return inspect_tape(info.path, whole=True) or info


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
    if plan.source.choice.order is TapeOrder.STORED:
        jumped = f", since it was recorded from a replay that jumped {plan.jumps:,} times" if plan.jumps else ""
        lines.append(f"in stored order{jumped}")
    reporter.block("plan", *lines)
    for info in plan.tapes:
        reporter.detail(f"tape {path_text(info.path)}: {size_text(info.size)}")
        if info.problem is not None:
            reporter.warn(f"{info.problem.message}: what is whole is played")
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
        "wall_s": volume.wall_ns / 1e9 if volume.wall_ns is not None else None,
        "stream_bytes": plan.stream_bytes if volume.known else None,
        "free_bytes": free_bytes(request.target),
    }
