"""``spyctl discover --report``: how good the data of a day is, as a table, as JSON, as a picture."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import orjson

from spyctl.cli.framework.remedies import remedy_for
from spyctl.cli.framework.reporter import Reporter, progress_bar
from spyctl.cli.framework.streams import write
from spyctl.dbn.catalog import DBNFileInfo, days, may_hold, refuse_mixture
from spyctl.dbn.quality import Quality, assess, in_daily_break
from spyctl.dbn.quality_picture import draw_quality
from spyctl.errors import DamagedFileError, ExitCode, UsageError
from spyctl.replay.plan import choose_dates, shown
from spyctl.replay.source import holding
from spyctl.terminal.tables import table
from spyctl.timing.instants import MS, SECOND, US, clock_text, duration_text, utc_text

_ROWS: list[tuple[str, Callable[[Quality], str]]] = [
    ("records", lambda one: f"{one.records:,}"),
    ("snapshots", lambda one: f"{one.snapshots:,}"),
    ("instruments", lambda one: f"{one.instruments:,}"),
    ("first ts_event, UTC", lambda one: clock_text(one.first_ns, digits=3) if one.first_ns else "·"),
    ("last ts_event, UTC", lambda one: clock_text(one.last_ns, digits=3) if one.last_ns else "·"),
    ("peak in a second", lambda one: f"{one.peak_per_s:,}"),
    ("latency p50", lambda one: _duration(one.latency_p50_ns)),
    ("latency p99", lambda one: _duration(one.latency_p99_ns)),
    ("latency, largest", lambda one: _duration(one.latency_max_ns)),
    ("received before it happened", lambda one: f"{one.received_before_event:,}"),
    ("sequence resets", lambda one: f"{one.sequence_resets:,}"),
    ("ts_event inversions", lambda one: f"{one.inversions:,}"),
    ("largest inversion", lambda one: _duration(one.largest_inversion_ns)),
    ("later than the 1 s window", lambda one: f"{one.late:,}"),
    ("BAD_TS_RECV", lambda one: f"{one.bad_ts_recv:,}"),
    ("MAYBE_BAD_BOOK", lambda one: f"{one.maybe_bad_book:,}"),
    ("crossed books", lambda one: f"{one.crossed:,}" if one.schema == "mbp-10" else "·"),
    ("locked books", lambda one: f"{one.locked:,}" if one.schema == "mbp-10" else "·"),
    ("trades without their twin", lambda one: f"{one.twinless:,}" if one.twinless is not None else "·"),
    ("quiet for a minute or more", lambda one: f"{one.quiets:,}"),
]


def _duration(ns: int | None) -> str:
    if ns is None:
        return "·"
    if ns < MS:
        return f"{ns / US:.3g} µs" if ns else "0"
    return f"{ns / MS:.3g} ms" if ns < SECOND else duration_text(ns)


def show_report(
    infos: Sequence[DBNFileInfo],
    text: str,
    symbols: tuple[str, ...],
    root: Path,
    picture: Path | None,
    talk: Reporter,
    *,
    as_json: bool,
    unreadable: Sequence[DamagedFileError] = (),
) -> int:
    """Print how good the data of a day is and return the exit code.

    Raises :class:`NoDataError` where there is none, :class:`UsageError` for what is no one day.
    """
    chosen = choose_dates([text], days(list(infos)), root, unreadable)
    if len(chosen) > 1:
        raise UsageError(f"--report {text} means {len(chosen)} dates; a report is of one", f"--report {chosen[0]}")
    day = chosen[0]
    refuse_mixture([info for info in infos if info.covers(day)], shown(root))
    files = [info for schema in ("trades", "mbp-10") for info in holding([i for i in infos if i.schema == schema], day)]
    names = list(dict.fromkeys(name for info in files for name in info.symbols))
    head = f"{day:%a} {day}, {', '.join(dict.fromkeys(info.dataset for info in files))}, "
    head += ", ".join(symbols or names[:3]) + (
        f" and {len(names) - 3:,} more" if len(names) > 3 and not symbols else ""
    )
    head += ", synthetic" if any(info.synthetic for info in files) else ""
    words = dict.fromkeys(word for info in files for on, word in info.conditions if on == day)
    with progress_bar(talk, "reading", sum(info.record_bytes for info in files)) as advance:
        found = assess(files, day, symbols, advance)
    if picture is not None:
        try:
            picture.write_text(draw_quality(found, day, escape(head)), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{picture} cannot be written ({error.strerror})", "--picture FILE") from None
    qualities = [quality for quality, _ in found.values()]
    unread = [error for error in unreadable if may_hold(Path(error.path), [day])]
    doubts = [
        *(error.message for error in unread),
        *(f"{day} is {word}, says Databento" for word in words),
        *(d for one in qualities for d in one.doubts()),
    ]
    if as_json:
        document: dict[str, Any] = {"date": day, "condition": next(iter(words), None), "doubts": doubts}
        document["schemas"] = {one.schema: _document(one) for one in qualities}
        write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
    else:
        _print(head, qualities, doubts)
    if picture is not None:
        talk.line(f"note: picture written to {picture}")
    for damage in (error for one in qualities for error in one.damage):
        talk.error(damage.message, f"{remedy_for(damage)}; the figures are of what lies before")
    return ExitCode.INCOMPLETE if unread or any(one.damage for one in qualities) else ExitCode.OK


def _print(head: str, qualities: Sequence[Quality], doubts: Sequence[str]) -> None:
    write(f" {head}")
    rows = [[label, *(show(one) for one in qualities)] for label, show in _ROWS]
    schemas = [one.schema for one in qualities]
    for line in table(["", *schemas], rows, right=set(schemas)):
        write(line)
    for one in qualities:
        for from_ns, to_ns in one.quiet:
            span = f"{clock_text(from_ns, digits=0)} → {clock_text(to_ns, digits=0)}"
            usual = ", the daily break" if in_daily_break(from_ns, to_ns) else ""
            write(f" quiet    {one.schema:<7}{span} UTC, {duration_text(to_ns - from_ns)}{usual}")
    for doubt in doubts:
        write(f" ! {doubt}")
    if not doubts:
        write(" ✓ nothing to look at")


def _document(one: Quality) -> dict[str, Any]:
    document = asdict(replace(one, damage=[])) | {"damage": [error.message for error in one.damage]}
    document["quiet"] = [
        {
            "from_ns": from_ns,
            "from_utc": utc_text(from_ns),
            "to_ns": to_ns,
            "to_utc": utc_text(to_ns),
            "daily_break": in_daily_break(from_ns, to_ns),
        }
        for from_ns, to_ns in one.quiet
    ]
    return document
