"""What a replay was asked for, and its plan as a person or a program reads it."""

from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path
from typing import Any

from spyctl.bus.acks.mode import AckMode
from spyctl.bus.embedded import Store as EmbeddedStore
from spyctl.bus.target import Target
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.replay_options import SinkKind
from spyctl.dbn.catalog import days, scan
from spyctl.errors import UsageError
from spyctl.replay.plan import Plan, choose_dates, make_plan, shown
from spyctl.replay.player import ReplayOptions
from spyctl.terminal.text import size_text
from spyctl.timing.instants import (
    NEW_YORK,
    clock_text,
    date_of,
    days_text,
    duration_text,
    parse_date,
    parse_instant,
    parse_zone,
    span_text,
    trading_day,
    utc_text,
    whole_seconds,
)


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asked for, read and checked."""

    data_dir: Path
    dates: tuple[str, ...]
    origin: str
    dataset: str | None
    schemas: tuple[str, ...]
    start: str | None
    end: str | None
    zone: str
    trading_day: str | None
    options: ReplayOptions
    target: Target
    sink: SinkKind
    ack: AckMode
    resume: str | None
    verify: bool
    force: bool
    metrics: tuple[str, int] | None
    as_json: bool


def plan_request(request: Request) -> Plan:
    """Choose files and range for what was asked. Raises :class:`UsageError`, :class:`NoDataError`."""
    zone = parse_zone(request.zone)
    selection = request.options.selection
    span = trading_day(parse_date(request.trading_day)) if request.trading_day else None
    if request.start is not None or request.end is not None:
        if request.trading_day:
            dates: tuple[Any, ...] = (parse_date(request.trading_day),)
        else:
            catalog = scan(request.data_dir)
            infos = [
                info
                for info in catalog.files
                if info.schema in request.schemas and request.dataset in (None, info.dataset)
            ]
            dates = choose_dates(request.dates, days(infos), request.data_dir, catalog.unreadable)
        if request.start is not None and dates:
            selection = replace(selection, start_ns=parse_instant(request.start, dates[0], zone))
        if request.end is not None and dates:
            selection = replace(selection, end_ns=parse_instant(request.end, dates[-1], zone))
        if selection.start_ns >= selection.end_ns:
            raise _wrong_order(request, selection.start_ns, selection.end_ns)
    return make_plan(
        request.data_dir,
        request.dates,
        request.origin,
        selection,
        schemas=request.schemas,
        trading_day=span,
        speed=request.options.speed.number,
        max_quiet_ns=request.options.max_quiet_ns,
        count=request.options.count,
        dataset=request.dataset,
    )


def _wrong_order(request: Request, start_ns: int, end_ns: int) -> UsageError:
    if start_ns == end_ns:
        return UsageError(f"--start {request.start} and --end {request.end} are the same instant", "a later --end")
    first, last = (clock_text(ns, digits=0)[:5] for ns in (start_ns, end_ns))
    message = f"--start {request.start} ({first} UTC) is after --end {request.end} ({last} UTC)"
    if date_of(start_ns) == date_of(end_ns) and str(request.start) < str(request.end):
        # The clock readings are in order; it is the UTC day of the files that ends between them.
        return UsageError(
            f"{message}: a UTC day ends at 19:00 or 20:00 New York", "two dates, or --trading-day of the next day"
        )
    return UsageError(message, f"--start {request.end} --end {request.start}")


def _free_bytes(target: Target) -> int | None:
    # The embedded server's disk; what a named server has free is asked of that server.

    return None if target.urls and not target.embedded else EmbeddedStore(target.store).free_bytes()


def _events_text(plan: Plan) -> str:
    parts = [f"{plan.events[schema]:,} {schema}" for schema in reversed(plan.events) if plan.events[schema]]
    about = "" if plan.exact else "at most about " if plan.selection.symbols else "about "
    symbols = plan.selection.symbols or plan.symbols
    more = f" and {len(symbols) - 3:,} more" if len(symbols) > 3 else ""
    of = f" of {', '.join(symbols[:3])}{more}" if symbols else ""
    tail = ", synthetic" if plan.synthetic else ""
    return f"{about}{sum(plan.events.values()):,} events: {' + '.join(parts) or 'none'}{of}{tail}"


def show_plan(talk: Reporter, plan: Plan, request: Request) -> None:
    """Say what would be played, before anything is."""
    dates = ", ".join(map(str, plan.dates[:3])) + (f" … {plan.dates[-1]}" if len(plan.dates) > 3 else "")
    if len(plan.dates) > 3:
        dates += f" ({len(plan.dates)} dates)"
    lines = []
    if plan.first_ns is None or plan.last_ns is None:
        lines.append(f"{dates}  no events in range")
    else:
        start_ns, end_ns = whole_seconds(plan.first_ns, plan.last_ns)
        start_ns = plan.selection.start_ns if request.start is not None else start_ns
        end_ns = plan.selection.end_ns if request.end is not None else end_ns
        utc, new_york = span_text(start_ns, end_ns, UTC), span_text(start_ns, end_ns, NEW_YORK)
        if len(plan.dates) == 1 and len(utc) <= 19 and len(new_york) <= 19:
            lines.append(f"{dates}  {utc} UTC  ({new_york} New York)")
        else:
            lines += [dates, f"{utc} UTC", f"{new_york} New York"]
        lines.append(_events_text(plan))
        span, about = duration_text(plan.last_ns - plan.first_ns), "" if plan.exact else "about "
        takes = f"takes {about}{duration_text(plan.wall_ns)} and " if plan.wall_ns is not None else "takes "
        free = _free_bytes(request.target) if request.sink is SinkKind.NATS else None
        room = f" ({size_text(free)} free)" if free is not None else ""
        lines.append(
            f"{about}{span} at {request.options.speed} {takes}{size_text(plan.stream_bytes)} of the "
            f"{'stream' if request.sink == 'nats' else 'output'}{room}"
        )
    if request.origin == "every date":
        lines.append("no --date: every date there is")
    if plan.missing:
        lines.append(f"no files for {days_text(plan.missing)}")
    talk.block("plan", *lines)
    for info in plan.infos:
        talk.detail(f"file {shown(info.path)}: {info.schema}, DBN {info.version}, {size_text(info.size)}")
        if info.problem is not None:
            talk.warn(f"{info.problem.message}: what is whole is played")
    for error in plan.unreadable:
        talk.warn(f"{error.message}: left out")
    for error in plan.beside:
        talk.warn(f"{error.message}: set aside")
    for double in plan.doubles:
        talk.warn(double.text(plan.root))
    for path, reason in plan.passed_over:
        talk.line(f"note: {path.name} is left out: {reason}")
    for told in (told for info in plan.infos for told in info.complaints()):
        talk.warn(told)
    for day, word in dict(pair for info in plan.infos for pair in info.conditions).items():
        if day in plan.dates:
            talk.warn(f"{day} is {word}, says Databento: data may be missing")


def plan_document(plan: Plan, request: Request) -> dict[str, Any]:
    """Return the plan as data, for ``--dry-run --json``."""
    return {
        "dates": plan.dates,
        "origin": plan.origin,
        "files": [str(info.path) for info in plan.infos],
        "left_out": [str(double.other.path) for double in plan.doubles if double.wholly],
        "partly_left_out": [str(double.other.path) for double in plan.doubles if not double.wholly],
        "unreadable": [error.message for error in plan.unreadable],
        "passed_over": [{"path": str(path), "reason": reason} for path, reason in plan.passed_over],
        "conditions": {str(day): word for info in plan.infos for day, word in info.conditions},
        "synthetic": plan.synthetic,
        "symbols": plan.symbols,
        "first_ns": plan.first_ns,
        "first_utc": utc_text(plan.first_ns) if plan.first_ns is not None else None,
        "last_ns": plan.last_ns,
        "last_utc": utc_text(plan.last_ns) if plan.last_ns is not None else None,
        "events": sum(plan.events.values()),
        "by_schema": plan.events,
        "exact": plan.exact,
        "speed_asked": request.options.speed.number,
        "wall_s": plan.wall_ns / 1e9 if plan.wall_ns is not None else None,
        "stream_bytes": plan.stream_bytes,
        "free_bytes": _free_bytes(request.target),
    }
