"""The DBN files of a folder, as ``discover`` shows them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spyctl.cli.framework.streams import write
from spyctl.errors import DamagedFileError, path_text
from spyctl.terminal.tables import table
from spyctl.terminal.text import count, size_text

if TYPE_CHECKING:
    from datetime import date

    from spyctl.dbn.catalog import Catalog
    from spyctl.dbn.file_info import DBNFileInfo
    from spyctl.dbn.integrity import Checkable, FileCheck

    FileKey = tuple[Path, str]

_SUNDAY = 6


class FileListing:
    """The files to list with all that is known of them.

    ``checks`` are by the key of a file, ``checked`` tells that all were read to their end. ``holes`` are, for each
    schema, the trading days for which it has no file, ``held`` the days for which it has one.
    """

    def __init__(
        self,
        catalog: "Catalog",
        infos: "Sequence[DBNFileInfo]",
        schemas: Sequence[str],
        checks: "Mapping[FileKey, FileCheck]",
        *,
        checked: bool,
    ) -> None:
        from spyctl.dbn.file_info import days_of
        from spyctl.dbn.overlaps import resolve_overlaps

        self.catalog = catalog
        self.infos = infos
        self.checks = checks
        self.checked = checked
        self.overlaps = {overlap.other.key: overlap for overlap in resolve_overlaps(infos)[1]}
        self.days = days_of(infos)
        self.held = {
            schema: set(days_of(info for info in infos if info.schema == schema and info.records != 0))
            for schema in {info.schema for info in infos}
        }
        self.holes = self._find_holes(schemas)

    def problem(self, info: "Checkable") -> "DamagedFileError | None":
        """Return what is wrong with a file."""
        check = self.checks.get(info.key)
        return check.problem if check is not None else info.problem

    @property
    def problems(self) -> list[str]:
        """Say of each file what is wrong with it."""
        files: list[Checkable] = [*self.infos, *self.catalog.definitions]
        by_path = {file.path: self.problem(file) for file in files}
        messages = [error.message for error in self.catalog.unreadable]
        messages += [error.message for error in by_path.values() if error is not None]
        if self.checked:
            messages += [error.message for error in self.catalog.unreadable_sidecars]
            messages += [f"{path}: listed in manifest.json, but missing" for path in self.catalog.missing]
        return messages

    def document(self, *, verbose: bool) -> dict[str, Any]:
        """Return what ``--json`` writes of the files; ``verbose`` adds the mappings in force."""
        catalog = self.catalog
        return {
            "data_dir": str(catalog.root),
            "files": [
                _document(info, self) | ({"mappings": _in_force(info)} if verbose else {}) for info in self.infos
            ],
            "problems": self.problems,
            "holes": self.holes,
            "passed_over": [{"path": str(path), "reason": reason} for path, reason in catalog.passed_over],
            "missing": [str(path) for path in catalog.missing],
            "job_files": [error.message for error in catalog.unreadable_sidecars],
        }

    def print(self, *, verbose: bool) -> None:
        """Write a row for each file, then totals; ``verbose`` adds the mappings in force."""
        infos, catalog = self.infos, self.catalog
        rows = [_row(info, self) for info in infos]
        rows += [("·",) * 7 + (f"unreadable: {Path(error.path).name}",) for error in catalog.unreadable]
        heads = ("date", "schema", "symbol", "records", "size", "first → last, UTC", "v", "note")
        head, *lines = table(heads, rows, right={"records", "size"}) if rows else [""]
        if rows:
            write(head)
        for line, info in zip_longest(lines, infos):
            write(line)
            if verbose and info is not None:
                for text in _mapping_lines(info):
                    write(text)
        write(f" {_totals(self)}")
        if self.checks:
            write(f" {_check_totals(self)}")

    def _find_holes(self, schemas: Sequence[str]) -> "dict[str, list[date]]":
        # Days with trading between the first and the last date, Sundays aside, for which a schema has no file.
        trading = _trading_days(self.days)
        holes = {}
        for schema in schemas:
            infos = [info for info in self.infos if info.schema == schema]
            missing = [day for day in trading if not any(info.covers(day) for info in infos)]
            if infos and missing:
                holes[schema] = missing
        return holes


def _trading_days(days: "Sequence[date]") -> "list[date]":
    # Those from the first to the last of some days on which there should be data; Sundays have an evening alone.
    from datetime import date

    from spyctl.market.sessions import futures_trade

    numbers = range(days[0].toordinal(), days[-1].toordinal() + 1) if days else ()
    return [day for day in map(date.fromordinal, numbers) if day.weekday() != _SUNDAY and futures_trade(day)]


def days_text(days: "Sequence[date]") -> str:
    """Name the first few of some days, holidays by name."""
    from spyctl.market.sessions import holiday

    shown = [f"{day} ({name})" if (name := holiday(day)) else str(day) for day in days[:4]]
    return ", ".join(shown) + (f" and {len(days) - 4:,} more" if len(days) > 4 else "")


def days_without_record(info: "DBNFileInfo") -> "list[date]":
    """Return the days inside a file on which there should be data, and is none."""
    held = info.dates
    return [day for day in _trading_days(info.span_dates) if day not in held] if held else []


def _totals(listing: FileListing) -> str:
    infos, catalog = listing.infos, listing.catalog
    known = [info.records for info in infos]
    counted = f", {count('records', sum(n for n in known if n is not None))}" if None not in known else ""
    uncounted = any(info.records is None and info.compressed and info.problem is None for info in infos)
    sizes = {info.path: info.size for info in infos}
    return (
        f"{path_text(catalog.root).removeprefix('./')}, "
        f"{', '.join(dict.fromkeys(info.dataset for info in infos)) or 'nothing readable'}: "
        f"{count('dates', len(listing.days))}, {count('files', len(sizes) + len(catalog.unreadable))}{counted}, "
        f"{size_text(sum(sizes.values()))}{'   · large .zst: time-range reads it' if uncounted else ''}"
    )


def _check_totals(listing: FileListing) -> str:
    checks, catalog = listing.checks, listing.catalog
    good = Counter(check.by for check in checks.values() if check.problem is None)
    bad = len(checks) - good.total() + len(catalog.unreadable) + len(catalog.missing)
    by_archive = f"{good['archive']:,} by the archive beside, " if good["archive"] else ""
    by_reading = f"{good['reading']:,} by reading to the end"
    return f"checked: {good['sha256']:,} good by sha256, {by_archive}{by_reading}, {bad:,} not"


def _row(info: "DBNFileInfo", listing: FileListing) -> tuple[str, ...]:
    from spyctl.timing.instants import clock_text

    span = "·"
    if info.first_ns is not None:
        last = clock_text(info.last_ns, digits=0) if info.last_ns is not None else "·"
        span = f"{clock_text(info.first_ns, digits=0)} → {last}"
    day = f"{info.first_date:%a} {info.first_date}"
    if info.last_date != info.first_date:
        day += f"..{info.last_date:{'%m-%d' if info.last_date.year == info.first_date.year else '%Y-%m-%d'}}"
    return (
        day,
        info.schema,
        _symbols(info),
        f"{info.records:,}" if info.records is not None else "·",
        size_text(info.size),
        span,
        str(info.version),
        ", ".join(_remarks(info, listing)),
    )


def _symbols(info: "DBNFileInfo") -> str:
    if not info.symbols:
        return "all"
    return info.symbols[0] if len(info.symbols) == 1 else count("symbols", len(info.symbols))


def _remarks(info: "DBNFileInfo", listing: FileListing) -> list[str]:
    problem, check, overlap = listing.problem(info), listing.checks.get(info.key), listing.overlaps.get(info.key)
    good_by = check.by if check is not None and problem is None else None
    other = {"trades": "mbp-10", "mbp-10": "trades"}[info.schema]
    remarks = [
        ("synthetic", info.synthetic),
        ("live capture", info.capture),
        ("gateway errors", bool(info.gateway_errors)),
        (".zst", info.compressed and info.records is None),
        (", ".join(dict.fromkeys(word for _, word in info.conditions)), bool(info.conditions)),
        ("overlaps", overlap is not None and overlap.wholly),
        ("overlaps in part", overlap is not None and not overlap.wholly),
        ("misnamed", info.misnamed),
        ("no records", info.records == 0 and problem is None),
        ("days without a record", bool(days_without_record(info))),
        (f"no {other} that day", other in listing.held and info.first_date not in listing.held[other]),
        ("sha256 ✓", good_by == "sha256"),
        ("archive ✓", good_by == "archive"),
    ]
    damage = [_damage(problem.reason)] if problem is not None else []
    return [remark for remark, applies in remarks if applies] + damage


def _damage(reason: str) -> str:
    if reason.startswith("its archive"):
        return "archive damaged"
    return "cut short" if "cut short" in reason or "shorter than" in reason else "damaged"


def _in_force(info: "DBNFileInfo") -> list[dict[str, Any]]:
    # The mappings that hold on the days of the file: what each symbol is there.
    from datetime import date, timedelta

    from spyctl.market.symbology import is_outright, is_spread
    from spyctl.timing.instants import day_number

    first, last = day_number(info.first_date), day_number(info.last_date)
    epoch = date(1970, 1, 1)
    rows = []
    for mapping in info.mappings:
        if mapping.first > last or mapping.end <= first:
            continue
        kind = "spread" if is_spread(mapping.symbol) else "outright" if is_outright(mapping.symbol) else "other"
        known = mapping.end - mapping.first < 1 << 20
        rows.append(
            {
                "symbol": mapping.symbol,
                "instrument_id": mapping.instrument_id,
                "kind": kind,
                "first_date": epoch + timedelta(mapping.first) if known else None,
                "last_date": epoch + timedelta(mapping.end - 1) if known else None,
            }
        )
    return rows


def _mapping_lines(info: "DBNFileInfo") -> list[str]:
    lines = []
    for row in _in_force(info):
        span = f"{row['first_date']} to {row['last_date']}" if row["first_date"] else "any day"
        lines.append(f"     {row['symbol']:<16} instrument {row['instrument_id']:<10} {row['kind']:<8} {span}")
    return lines or ["     no mapping: instrument ids stand for symbols"]


def _document(info: "DBNFileInfo", listing: FileListing) -> dict[str, Any]:
    from spyctl.timing.instants import utc_text

    problem, check, overlap = listing.problem(info), listing.checks.get(info.key), listing.overlaps.get(info.key)
    return {
        "path": str(info.path),
        "schema": info.schema,
        "dataset": info.dataset,
        "symbols": info.symbols,
        "version": info.version,
        "size": info.size,
        "compressed": info.compressed,
        "synthetic": info.synthetic,
        "live_capture": info.capture,
        "gateway_errors": info.gateway_errors,
        "first_date": info.first_date,
        "last_date": info.last_date,
        "misnamed": info.misnamed,
        "without_record": days_without_record(info),
        "records": info.records,
        "first_recv_ns": info.first_ns,
        "first_recv_utc": utc_text(info.first_ns) if info.first_ns is not None else None,
        "last_recv_ns": info.last_ns,
        "last_recv_utc": utc_text(info.last_ns) if info.last_ns is not None else None,
        "conditions": {str(day): word for day, word in info.conditions},
        "problem": problem.message if problem is not None else None,
        "checked_by": check.by if check is not None else None,
        "overlaps": str(overlap.kept.path) if overlap is not None else None,
    }
