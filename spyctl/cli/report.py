"""``spyctl discover --report``: how good the data of a day is, as a table, as JSON, as a picture."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from spyctl.cli.framework.remedies import remedy_for
from spyctl.cli.framework.reporter import Reporter, progress_bar
from spyctl.cli.framework.streams import write, write_document
from spyctl.dbn.catalog import Catalog
from spyctl.dbn.choice import FileChoice, FileQuery, choose_files, parse_days
from spyctl.dbn.quality import Quality, assess, in_daily_break
from spyctl.dbn.quality_picture import draw_quality
from spyctl.errors import ExitCode, UsageError
from spyctl.terminal.tables import table
from spyctl.timing.instants import MS, SECOND, US, clock_text, duration_text, utc_text

_ROWS: list[tuple[str, Callable[[Quality], str]]] = [
    ("records", lambda quality: f"{quality.records:,}"),
    ("snapshots", lambda quality: f"{quality.snapshots:,}"),
    ("instruments", lambda quality: f"{quality.instruments:,}"),
    ("first ts_event, UTC", lambda quality: clock_text(quality.first_ns, digits=3) if quality.first_ns else "·"),
    ("last ts_event, UTC", lambda quality: clock_text(quality.last_ns, digits=3) if quality.last_ns else "·"),
    ("peak in a second", lambda quality: f"{quality.peak_per_s:,}"),
    ("latency p50", lambda quality: _duration(quality.latency_p50_ns)),
    ("latency p99", lambda quality: _duration(quality.latency_p99_ns)),
    ("latency, largest", lambda quality: _duration(quality.latency_max_ns)),
    ("received before it happened", lambda quality: f"{quality.received_before_event:,}"),
    ("sequence resets", lambda quality: f"{quality.sequence_resets:,}"),
    ("ts_event inversions", lambda quality: f"{quality.inversions:,}"),
    ("largest inversion", lambda quality: _duration(quality.largest_inversion_ns)),
    ("later than the 1 s window", lambda quality: f"{quality.late:,}"),
    ("BAD_TS_RECV", lambda quality: f"{quality.bad_ts_recv:,}"),
    ("MAYBE_BAD_BOOK", lambda quality: f"{quality.maybe_bad_book:,}"),
    ("crossed books", lambda quality: f"{quality.crossed:,}" if quality.schema == "mbp-10" else "·"),
    ("locked books", lambda quality: f"{quality.locked:,}" if quality.schema == "mbp-10" else "·"),
    (
        "unmatched trades",
        lambda quality: f"{quality.unmatched_trades:,}" if quality.unmatched_trades is not None else "·",
    ),
    ("quiet for a minute or more", lambda quality: f"{quality.quiets:,}"),
]


def _number(count: int | None) -> str:
    return f"{count:,}" if count is not None else "·"


def _duration(ns: int | None) -> str:
    if ns is None:
        return "·"
    if ns < MS:
        return f"{ns / US:.3g} µs" if ns else "0"
    return f"{ns / MS:.3g} ms" if ns < SECOND else duration_text(ns)


def show_report(
    catalog: Catalog, query: FileQuery, text: str, picture: Path | None, reporter: Reporter, *, as_json: bool
) -> int:
    """Print how good the data of the day that ``text`` names is and return the exit code.

    Raises what :func:`choose_files` raises, :class:`UsageError` for what does not name a single day.
    """
    choice = choose_files(catalog, replace(query, days=parse_days([text])))
    day, *others = choice.days
    if others:
        raise UsageError(f"--report {text} means {len(choice.days)} dates; a report is of one", f"--report {day}")
    head = _head(choice)
    with progress_bar(reporter, "reading", sum(info.record_bytes for info in choice.files)) as advance:
        assessed = assess(choice.files, day, query.symbols, advance)
    if picture is not None:
        try:
            picture.write_text(draw_quality(assessed, day, escape(head)), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{picture} cannot be written ({error.strerror})", "--picture FILE") from None
    qualities = [quality for quality, _ in assessed.values()]
    conditions = list(dict.fromkeys(word for info in choice.files for on, word in info.conditions if on == day))
    doubts = [
        *(error.message for error in choice.unreadable),
        *(f"Databento calls {day} {word}" for word in conditions),
        *(doubt for quality in qualities for doubt in quality.doubts()),
    ]
    if as_json:
        document: dict[str, Any] = {"date": day, "condition": next(iter(conditions), None), "doubts": doubts}
        document["schemas"] = {quality.schema: _document(quality) for quality in qualities}
        write_document(document)
    else:
        _print(head, qualities, doubts)
    if picture is not None:
        reporter.line(f"note: picture written to {picture}")
    for damage in (error for quality in qualities for error in quality.damage):
        reporter.error(damage.message, f"{remedy_for(damage)}; the figures are of what lies before")
    damaged = bool(choice.unreadable) or any(quality.damage for quality in qualities)
    return ExitCode.INCOMPLETE if damaged else ExitCode.OK


def _head(choice: FileChoice) -> str:
    day, infos = choice.days[0], choice.files
    names = list(choice.query.symbols) or list(dict.fromkeys(name for info in infos for name in info.symbols))
    more = f" and {len(names) - 3:,} more" if len(names) > 3 and not choice.query.symbols else ""
    shown = names if choice.query.symbols else names[:3]
    synthetic = ", synthetic" if any(info.synthetic for info in infos) else ""
    datasets = ", ".join(dict.fromkeys(info.dataset for info in infos))
    return f"{day:%a} {day}, {datasets}, {', '.join(shown)}{more}{synthetic}"


def _print(head: str, qualities: Sequence[Quality], doubts: Sequence[str]) -> None:
    write(f" {head}")
    rows = [[label, *(show(quality) for quality in qualities)] for label, show in _ROWS]
    schemas = [quality.schema for quality in qualities]
    for line in table(["", *schemas], rows, right=set(schemas)):
        write(line)
    for quality in qualities:
        for from_ns, to_ns in quality.quiet:
            span = f"{clock_text(from_ns, digits=0)} → {clock_text(to_ns, digits=0)}"
            usual = ", the daily break" if in_daily_break(from_ns, to_ns) else ""
            write(f" quiet    {quality.schema:<7}{span} UTC, {duration_text(to_ns - from_ns)}{usual}")
    for doubt in doubts:
        write(f" ! {doubt}")
    if not doubts:
        write(" ✓ nothing to look at")


def _document(quality: Quality) -> dict[str, Any]:
    document = asdict(replace(quality, damage=[])) | {"damage": [error.message for error in quality.damage]}
    document["twinless"] = document.pop("unmatched_trades")  # the key that users know
    document["quiet"] = [
        {
            "from_ns": from_ns,
            "from_utc": utc_text(from_ns),
            "to_ns": to_ns,
            "to_utc": utc_text(to_ns),
            "daily_break": in_daily_break(from_ns, to_ns),
        }
        for from_ns, to_ns in quality.quiet
    ]
    return document
