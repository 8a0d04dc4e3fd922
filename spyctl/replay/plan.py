"""The plan of a replay: which files, which range, how much, how long; made before anything is published."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from hashlib import blake2b
from pathlib import Path

import numpy as np

from spyctl.dbn.catalog import DBNFileInfo, days, may_hold, refuse_mixture, scan
from spyctl.dbn.normalize import Selection, Wanted, index
from spyctl.dbn.overlaps import Double, without_doubles
from spyctl.dbn.reader import RECORD_DTYPES
from spyctl.errors import DamagedFileError, NoDataError, UsageError
from spyctl.market.columns import SCHEMAS
from spyctl.market.symbology import SymbolChoice, SymbolMap
from spyctl.paths import path_text
from spyctl.replay.source import of_file
from spyctl.timing.instants import DAY, MAX_INSTANT, date_of, day_number, parse_date

SCAN_BYTES = 64_000_000  # unpacked bytes up to which a plan counts exactly
PAYLOAD_BYTES = {"trades": 192, "mbp-10": 748}
MESSAGE_OVERHEAD = 75  # JetStream stores beside the payload: record header, subject, the id header
_SAMPLES, _SAMPLE_BYTES = 256, 1 << 14


@dataclass(frozen=True, slots=True)
class Plan:
    """What a replay would play.

    ``first_ns`` and ``last_ns`` are the first and last sort time, ``events`` the events by schema and
    ``wall_ns`` the wall time; ``exact`` tells whether they were counted or estimated. ``missing`` are days of a
    range (Saturdays aside) for which there is no file, ``passed_over`` files that may hold one of the dates and
    are not replayed, with the reason, ``beside`` job files that cannot be read.
    """

    root: Path
    dates: tuple[date, ...]
    origin: str
    infos: tuple[DBNFileInfo, ...]
    doubles: tuple[Double, ...]
    unreadable: tuple[DamagedFileError, ...]
    selection: Selection
    first_ns: int | None
    last_ns: int | None
    events: dict[str, int]
    wall_ns: int | None
    exact: bool
    missing: tuple[date, ...] = ()
    passed_over: tuple[tuple[Path, str], ...] = ()
    beside: tuple[DamagedFileError, ...] = ()

    @property
    def stream_bytes(self) -> int:
        """About how much the events will take in the stream."""
        return sum(count * (PAYLOAD_BYTES[schema] + MESSAGE_OVERHEAD) for schema, count in self.events.items())

    @property
    def synthetic(self) -> bool:
        """Whether the files are made up."""
        return any(info.synthetic for info in self.infos)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols that the files were requested for."""
        return tuple(dict.fromkeys(symbol for info in self.infos for symbol in info.symbols))


def asked_days(asked: Sequence[str]) -> frozenset[date] | None:
    """Return every day that ``--date`` values name, ``None`` where they mean whatever is there."""
    found: set[date] = set()
    for text in asked:
        if text in ("all", "last"):
            return None
        first, last = (parse_date(part) for part in (text.split("..", 1) * 2)[:2])
        found.update(map(date.fromordinal, range(first.toordinal(), last.toordinal() + 1)))
    return frozenset(found) if asked else None


def asked_ranges(asked: Sequence[str]) -> list[tuple[date, date]]:
    """Return the ranges among ``--date`` values, ends included."""
    return [(parse_date(a), parse_date(b)) for a, dots, b in (text.partition("..") for text in asked) if dots]


def missing_days(ranges: Sequence[tuple[date, date]], dates: Sequence[date]) -> tuple[date, ...]:
    """List the days of some ranges, Saturdays aside, that are not among those there are."""
    spans = (range(first.toordinal(), last.toordinal() + 1) for first, last in ranges)
    days_of = {date.fromordinal(number) for span in spans for number in span}
    return tuple(sorted(day for day in days_of if day not in dates and day.weekday() != 5))


def choose_dates(
    asked: Sequence[str], available: Sequence[date], root: Path, unreadable: Sequence[DamagedFileError] = ()
) -> tuple[date, ...]:
    """Read ``--date`` values: dates, ``D..D``, ``all``, ``last``; none means all.

    Raises :class:`UsageError` for what is none of these, :class:`NoDataError` for a date that is not there, and
    the error of a file that cannot be read where that is the one of the date.
    """
    if not asked:
        return tuple(available)
    chosen: set[date] = set()
    for text in asked:
        first_text, dots, last_text = text.partition("..")
        if text == "all":
            chosen.update(available)
        elif text == "last":
            chosen.update(available[-1:])
        elif dots:
            first, last = parse_date(first_text), parse_date(last_text)
            if last < first:
                raise UsageError(f"--date {text} ends before it begins", f"--date {last}..{first}")
            within = {day for day in available if first <= day <= last}
            chosen.update(within or {first})
        else:
            chosen.add(parse_date(text))
    missing = sorted(chosen - set(available))
    if missing:
        for error in unreadable:
            if may_hold(Path(error.path), missing):
                raise error
        held = _span(available)
        raise NoDataError(
            f"no data for {', '.join(map(str, missing))} in {shown(root)}, which holds {held}",
            f"spyctl discover, or spyctl sample --date {missing[0]} for a synthetic day",
        )
    return tuple(sorted(chosen))


def _span(dates: Sequence[date]) -> str:
    if not dates:
        return "none"
    if len(dates) <= 3:
        return ", ".join(map(str, dates))
    return f"{dates[0]} to {dates[-1]} ({len(dates)} dates)"


shown = path_text  # until its callers say path_text


def make_plan(
    root: Path,
    asked: Sequence[str],
    origin: str,
    selection: Selection,
    *,
    schemas: Sequence[str] = SCHEMAS,
    trading_day: tuple[int, int] | None = None,
    speed: float = 1.0,
    max_quiet_ns: int = MAX_INSTANT,
    count: int | None = None,
    dataset: str | None = None,
) -> Plan:
    """Choose the files and count what they hold.

    ``trading_day`` bounds the range instead of dates; ``dataset`` picks one where the folder holds several.
    Raises :class:`NoDataError`, :class:`UsageError`, and
    :class:`DamagedFileError` where no file of those chosen can be read at all.
    """
    catalog = scan(root)
    unreadable = catalog.unreadable
    wanted_days = asked_days(asked) if trading_day is None else None
    infos = [info for info in catalog.files if info.schema in schemas and dataset in (None, info.dataset)]
    if catalog.files and not infos and dataset is not None:
        held = ", ".join(sorted({info.dataset for info in catalog.files}))
        raise NoDataError(f"no data of {dataset} in {shown(root)}, which holds {held}", f"--dataset {held}")
    available = days(infos)
    if trading_day is not None:
        first, last = (date_of(ns) for ns in (trading_day[0], trading_day[1] - 1))
        ranges = [(first, last)]
        wanted_days = frozenset((first, last))
        dates = tuple(day for day in available if first <= day <= last)
        if not dates:
            raise NoDataError(
                f"no data for the trading day that ends {last} in {shown(root)}, which holds {_span(available)}",
                "spyctl discover lists what there is",
            )
        selection = replace(
            selection,
            start_ns=max(selection.start_ns, trading_day[0]),
            end_ns=min(selection.end_ns, trading_day[1]),
        )
    else:
        if unreadable and not infos:
            raise unreadable[0]
        dates = choose_dates(asked, available, root, unreadable)
        ranges = asked_ranges(asked)
    selection = replace(selection, days=frozenset(map(day_number, dates)))
    infos = [info for info in infos if any(info.covers(day) for day in dates)]
    if not infos:
        raise NoDataError(f"no {' or '.join(schemas)} data in {shown(root)}", "spyctl discover lists what there is")
    refuse_mixture(infos, shown(root))
    infos = with_symbols(infos, selection.symbols, root)
    infos, doubles = without_doubles(infos)
    first_ns, last_ns, events, wall_ns, exact = _count(infos, selection, speed, max_quiet_ns, count)
    return Plan(
        root=root,
        dates=dates,
        origin=origin,
        infos=tuple(infos),
        doubles=tuple(doubles),
        unreadable=tuple(
            error for error in unreadable if wanted_days is None or may_hold(Path(error.path), wanted_days)
        ),
        selection=selection,
        first_ns=first_ns,
        last_ns=last_ns,
        events=events,
        wall_ns=wall_ns,
        exact=exact,
        missing=missing_days(ranges, dates),
        beside=tuple(catalog.beside),
        passed_over=tuple((path, reason) for path, reason in catalog.passed_over if may_hold(path, dates)),
    )


def with_symbols(infos: Sequence[DBNFileInfo], words: Sequence[str], root: Path) -> list[DBNFileInfo]:
    """Pick the files that may hold one of the symbols asked for; a file that names none may.

    Raises :class:`NoDataError` where there is no such file.
    """
    if not words:
        return list(infos)
    choice = SymbolChoice(words)
    found = [
        info for info in infos if not info.mappings or choice.takes_any([*info.names(), *map(str, info.header_ids)])
    ]
    if infos and not found:
        held = list(dict.fromkeys(name for info in infos for name in info.names()))
        names = ", ".join(held[:5]) + (f" and {len(held) - 5:,} more" if len(held) > 5 else "")
        raise NoDataError(
            f"no {' or '.join(words)} in {shown(root)}, which holds {names}", "spyctl discover -v shows all symbols"
        )
    return found


def fingerprints(infos: Sequence[DBNFileInfo]) -> list[dict[str, object]]:
    """Tell files from others of the same name: size, a digest over samples of it, and one of what names its symbols.

    A change that no sample meets goes unnoticed: whole files would take too long to read before every run.
    """
    return [
        {
            "path": info.path.name,
            "schema": info.schema,
            "size": info.size,
            "sample": _sample(info.path),
            "names": _names(info),
        }
        for info in infos
    ]


def _sample(path: Path) -> str:
    digest, size = blake2b(digest_size=16), path.stat().st_size
    with path.open("rb") as file:
        for i in range(_SAMPLES):
            file.seek(max(0, size - _SAMPLE_BYTES) * i // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def _names(info: DBNFileInfo) -> str:
    return blake2b(repr(info.mappings).encode(), digest_size=16).hexdigest()


def _count(
    infos: Sequence[DBNFileInfo], selection: Selection, speed: float, max_quiet_ns: int, count: int | None
) -> tuple[int | None, int | None, dict[str, int], int | None, bool]:
    events = dict.fromkeys(SCHEMAS, 0)
    if sum(info.record_bytes for info in infos) <= SCAN_BYTES:
        times = []
        for info in infos:
            found = _sort_times(info, selection)
            events[info.schema] += len(found)
            times.append(found)
        sort_ns = np.sort(np.concatenate(times))[:count]
        if not len(sort_ns):
            return None, None, events, 0, True
        if count is not None:
            for info, found in zip(infos, times, strict=True):
                events[info.schema] -= int((found > sort_ns[-1]).sum())
            events["mbp-10"] -= max(0, sum(events.values()) - count)  # trades come first among equal times
        gaps = np.diff(sort_ns)
        if speed:
            gaps = np.minimum(gaps, max_quiet_ns * speed)
        wall_ns = round(float(gaps.sum()) / speed) if speed else None
        return int(sort_ns[0]), int(sort_ns[-1]), events, wall_ns, True
    spans: list[tuple[int, int]] = []
    for info in infos:
        if info.first_ns is None:
            continue
        whole_from, whole_to = info.first_ns, info.last_ns or (day_number(info.last_date) + 1) * DAY - 1
        start, end = max(whole_from, selection.start_ns), min(whole_to, selection.end_ns)
        if start > end:
            continue
        spans.append((start, end))
        share = (end - start) / (whole_to - whole_from) if whole_to > whole_from else 1.0
        records = info.records
        if records is None:
            records = info.record_bytes // RECORD_DTYPES[info.schema].itemsize
        events[info.schema] += round(records * share)
    if not spans:
        return None, None, events, None, False
    spans.sort()
    last_ns, played_ns, quiet_ns = spans[0][0], 0, 0
    for start, end in spans:
        quiet_ns += min(max(0, start - last_ns), round(max_quiet_ns * speed))
        played_ns += max(0, end - max(start, last_ns))
        last_ns = max(last_ns, end)
    return spans[0][0], last_ns, events, round((played_ns + quiet_ns) / speed) if speed else None, False


def _sort_times(info: DBNFileInfo, selection: Selection) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    selection = of_file(info, selection)
    wanted = Wanted(SymbolMap(info.mappings), selection.symbols)
    newest, found = 0, [np.empty(0, np.int64)]
    try:
        for chunk in info.chunks():
            times = index(chunk, newest, selection, wanted)
            newest = times.newest_ns
            found.append(times.sort_ns[times.selected])
    except DamagedFileError:
        pass  # the replay will meet it, and say so
    joined: np.ndarray[tuple[int], np.dtype[np.int64]] = np.concatenate(found)
    return joined
