"""What a replay was asked for, and its plan as a person or a program reads it."""

from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path
from typing import Any

from spyctl.bus.acks.mode import AckMode
from spyctl.bus.consumers import ConsumerLimit
from spyctl.bus.embedded import Store as EmbeddedStore
from spyctl.bus.store_mode import StoreMode
from spyctl.bus.target import Target
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.replay_options import SessionKind, SinkKind
from spyctl.dbn.catalog import scan
from spyctl.dbn.choice import FileQuery, choose_files, parse_days, trading_day_choice
from spyctl.dbn.siblings import two_names
from spyctl.errors import UsageError, path_text
from spyctl.market.sessions import parse_time, trading_hours
from spyctl.replay.plan import Plan, make_plan
from spyctl.replay.session import ReplayOptions
from spyctl.replay.tape_plan import TapePlan
from spyctl.replay.targets import span_of
from spyctl.terminal.text import count, size_text
from spyctl.timing.instants import (
    NEW_YORK,
    clock_text,
    date_of,
    days_text,
    duration_text,
    parse_date,
    parse_duration,
    parse_zone,
    span_text,
    utc_text,
    whole_seconds,
)


@dataclass(frozen=True, slots=True)
class InputRequest:
    """Which events the command line asked for: files, and the range within them, as it was written.

    ``origin`` names where the dates were asked for; ``zone`` is that of times without one.
    """

    data_dir: Path
    dates: tuple[str, ...]
    origin: str
    dataset: str | None
    schemas: tuple[str, ...]
    start: str | None
    end: str | None
    zone: str
    trading_day: str | None
    duration: str | None = None
    session: SessionKind = SessionKind.ALL


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asked for, read and checked."""

    input: InputRequest
    options: ReplayOptions
    target: Target
    sink: SinkKind
    ack: AckMode
    store_mode: StoreMode
    resume: str | None
    verify: bool
    force: bool
    metrics: tuple[str, int] | None
    as_json: bool
    raw: bool = False  # of events on stdout, the payloads alone
    keys: bool = False  # whether the terminal's keys control it
    wait_for: ConsumerLimit | None = None


def plan_request(request: Request) -> Plan:
    """Choose files and range for what was asked. Raises :class:`UsageError`, :class:`NoDataError`."""
    asked, options = request.input, request.options
    zone = parse_zone(asked.zone)
    day = parse_date(asked.trading_day, NEW_YORK) if asked.trading_day else None
    days = trading_day_choice(day) if day is not None else parse_days(asked.dates)
    query = FileQuery(asked.schemas, days, options.selection.symbols, asked.dataset)
    choice = choose_files(scan(asked.data_dir), query)
    first, last = (day, day) if day is not None else (choice.days[0], choice.days[-1])
    selection = options.selection
    if asked.start is not None:
        selection = replace(selection, start_ns=parse_time(asked.start, first, zone))
    if asked.end is not None:
        selection = replace(selection, end_ns=parse_time(asked.end, last, zone))
    if asked.duration is not None:
        begin_ns = max(selection.start_ns, span_of(choice.files, selection).first_ns)
        selection = replace(selection, end_ns=begin_ns + parse_duration(asked.duration))
    if asked.session is not SessionKind.ALL:
        regular = asked.session is SessionKind.RTH
        selection = replace(selection, hours=trading_hours(choice.days, regular=regular))
    if selection.start_ns >= selection.end_ns:
        raise _wrong_order(asked, selection.start_ns, selection.end_ns)
    return make_plan(
        choice,
        asked.origin,
        selection,
        speed=options.speed.number,
        max_quiet_ns=options.max_quiet_ns,
        count=options.count,
        zone=zone,
    )


def _wrong_order(asked: InputRequest, start_ns: int, end_ns: int) -> UsageError:
    if start_ns == end_ns:
        return UsageError(f"--start {asked.start} and --end {asked.end} are the same instant", "a later --end")
    first, last = (clock_text(ns, digits=0)[:5] for ns in (start_ns, end_ns))
    message = f"--start {asked.start} ({first} UTC) is after --end {asked.end} ({last} UTC)"
    if date_of(start_ns) == date_of(end_ns) and str(asked.start) < str(asked.end):
        # The clock readings are in order; it is the UTC day of the files that ends between them.
        return UsageError(
            f"{message}: a UTC day ends at 19:00 or 20:00 New York", "two dates, or --trading-day of the next day"
        )
    return UsageError(message, f"--start {asked.end} --end {asked.start}")


def free_bytes(target: Target) -> int | None:
    """Return what the embedded server's disk has free; ``None`` for a named server, which is asked itself."""
    return None if target.urls and not target.embedded else EmbeddedStore(target.store).free_bytes()


def _events_text(plan: Plan | TapePlan) -> str:
    parts = [count(schema, number) for schema, number in reversed(plan.volume.events.items()) if number]
    about = "" if plan.volume.exact else "at most about " if plan.selection.symbols else "about "
    about = about if plan.volume.known else "unknown how many events, at most "
    symbols = plan.selection.symbols or plan.symbols
    more = f" and {len(symbols) - 3:,} more" if len(symbols) > 3 else ""
    of = f" of {', '.join(symbols[:3])}{more}" if symbols else ""
    tail = ", synthetic" if plan.synthetic else ""
    return f"{about}{count('events', sum(plan.volume.events.values()))}: {' + '.join(parts) or 'none'}{of}{tail}"


def show_plan(reporter: Reporter, plan: Plan, request: Request) -> None:
    """Say what would be played, before anything is."""
    lines = range_lines(plan, request)
    if request.input.origin == "every date":
        lines.append("no --date: every date in the folder")
    if plan.choice.absent:
        lines.append(f"no files for {days_text(plan.choice.absent)}")
    if plan.choice.empty:
        lines.append(f"no records on {days_text(plan.choice.empty)}")
    reporter.block("plan", *lines)
    _show_files(reporter, plan)


def range_lines(plan: Plan | TapePlan, request: Request) -> list[str]:
    """Say which days, range and events a plan has, and how long that takes."""
    dates = ", ".join(map(str, plan.dates[:3])) + (f" … {plan.dates[-1]}" if len(plan.dates) > 3 else "")
    if len(plan.dates) > 3:
        dates += f" ({len(plan.dates)} dates)"
    if plan.volume.first_ns is None or plan.volume.last_ns is None:
        return [f"{dates}  no events in range"]
    start_ns, end_ns = whole_seconds(plan.volume.first_ns, plan.volume.last_ns)
    start_ns = plan.selection.start_ns if request.input.start is not None else start_ns
    end_ns = plan.selection.end_ns if request.input.end is not None else end_ns
    day = plan.dates[0] if len(plan.dates) == 1 else None
    utc, new_york = (span_text(start_ns, end_ns, zone, day) for zone in (UTC, NEW_YORK))
    if day is not None and len(utc) <= 19 and len(new_york) <= 19:
        lines = [f"{dates}  {utc} UTC  ({new_york} New York)"]
    else:
        lines = [dates, f"{utc} UTC", f"{new_york} New York"]
    span, about = duration_text(plan.volume.last_ns - plan.volume.first_ns), "" if plan.volume.exact else "about "
    loops, wall_ns = request.options.loops, plan.volume.wall_ns
    takes = f"takes {about}{duration_text(wall_ns * loops)} and " if wall_ns is not None else ""
    span += f", {loops:,} times," if loops > 1 else ""
    free = free_bytes(request.target) if request.sink is SinkKind.NATS else None
    room = f" ({size_text(free)} free)" if free is not None else ""
    where = "stream" if request.sink is SinkKind.NATS else "output"
    at_most = "" if plan.volume.known else "at most "
    adds = f"adds {at_most}{size_text(plan.stream_bytes * loops)} to the {where}{room}"
    return [*lines, _events_text(plan), f"{about}{span} at {request.options.speed} {takes}{adds}"]


def _show_files(reporter: Reporter, plan: Plan) -> None:
    choice = plan.choice
    for info in choice.files:
        reporter.detail(f"file {path_text(info.path)}: {info.schema}, DBN {info.version}, {size_text(info.size)}")
        if info.problem is not None:
            reporter.warn(f"{info.problem.message}: the whole records are played")
    for error in choice.unreadable:
        reporter.warn(f"{error.message}: left out")
    for error in choice.unreadable_sidecars:
        reporter.warn(f"{error.message}: ignored")
    for overlap in choice.overlaps:
        reporter.warn(overlap.text(choice.root))
    for path, reason in choice.passed_over:
        reporter.line(f"note: {path.name} is left out: {reason}")
    for two in two_names(choice.files, plan.selection):
        if two.since is None:
            reporter.line(f"note: {two.symbol} of {two.path.name} is published as {two.published}, as elsewhere")
        else:
            reporter.line(f"note: {two.symbol} is published as {two.published} from {two.since} on")
    for warning in (warning for info in choice.files for warning in info.gateway_warnings()):
        reporter.warn(warning)
    for day, word in dict(pair for info in choice.files for pair in info.conditions).items():
        if day in choice.days:
            reporter.warn(f"Databento calls {day} {word}: data may be missing")


def plan_document(plan: Plan, request: Request) -> dict[str, Any]:
    """Return the plan as data, for ``--dry-run --json``."""
    return {
        "dates": plan.dates,
        "origin": plan.origin,
        "files": [str(info.path) for info in plan.infos],
        "left_out": [str(overlap.other.path) for overlap in plan.choice.overlaps if overlap.wholly],
        "partly_left_out": [str(overlap.other.path) for overlap in plan.choice.overlaps if not overlap.wholly],
        "unreadable": [error.message for error in plan.unreadable],
        "passed_over": [{"path": str(path), "reason": reason} for path, reason in plan.choice.passed_over],
        "conditions": {str(day): word for info in plan.infos for day, word in info.conditions},
        "synthetic": plan.synthetic,
        "symbols": plan.symbols,
        "first_ns": plan.volume.first_ns,
        "first_utc": utc_text(plan.volume.first_ns) if plan.volume.first_ns is not None else None,
        "last_ns": plan.volume.last_ns,
        "last_utc": utc_text(plan.volume.last_ns) if plan.volume.last_ns is not None else None,
        "events": sum(plan.volume.events.values()) if plan.volume.known else None,
        "by_schema": plan.volume.events if plan.volume.known else None,
        "events_at_most": sum(plan.volume.at_most.values()),
        "exact": plan.volume.exact,
        "speed_asked": request.options.speed.number,
        "loops": request.options.loops,
        "wall_s": plan.volume.wall_ns * request.options.loops / 1e9 if plan.volume.wall_ns is not None else None,
        "stream_bytes": plan.stream_bytes * request.options.loops if plan.volume.known else None,
        "free_bytes": free_bytes(request.target),
    }
