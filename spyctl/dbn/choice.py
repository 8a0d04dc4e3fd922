"""Days, schemas and symbols → files: the one place where it is decided which files a command reads."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from spyctl.dbn.catalog import Catalog
from spyctl.dbn.file_info import DBNFileInfo, days_of, may_hold
from spyctl.dbn.overlaps import Overlap, resolve_overlaps
from spyctl.dbn.records import JOINED
from spyctl.dbn.siblings import with_siblings
from spyctl.dbn.sort_times import Selection
from spyctl.errors import (
    DamagedDefinitionsError,
    DamagedFileError,
    MissingDaysError,
    MixedFilesError,
    NoDataError,
    NoSuchDataError,
    NothingPlayableError,
    ReversedRangeError,
    SeveralDatasetsError,
    UnknownDatasetError,
    UnknownSymbolError,
    path_text,
)
from spyctl.market.columns import SCHEMAS
from spyctl.market.sessions import futures_trade, trading_day
from spyctl.market.symbology import SymbolChoice
from spyctl.timing.instants import date_of, day_number, parse_date

EVERY, LAST = "all", "last"


@dataclass(frozen=True, slots=True)
class DayChoice:
    """The UTC days that were asked for: ``ranges`` of them, both ends inclusive, ``every`` one there is, the ``last``
    one there is, or those that a CME ``trading_day`` spans."""

    ranges: tuple[tuple[date, date], ...] = ()
    every: bool = False
    last: bool = False
    trading_day: date | None = None

    @property
    def named(self) -> frozenset[date] | None:
        """Every day that they name, ``None`` where they mean whatever is there."""
        return None if self.every or self.last else frozenset(day for span in self.ranges for day in _days(*span))

    def among(self, available: Sequence[date]) -> set[date]:
        """Return the days to read of those ``available``, in order there; the first day of a range with none of them
        is included, though it is not there."""
        if self.every:
            return set(available)
        days = set(available[-1:]) if self.last else set()
        for first, last in self.ranges:
            days |= {day for day in available if first <= day <= last} or {first}
        return days

    def absent(self, days: Iterable[date]) -> tuple[date, ...]:
        """List the days of ranges that are not among those to read, though CME trades on them."""
        asked = {day for first, last in self.ranges if first < last for day in _days(first, last)}
        return tuple(sorted(day for day in asked.difference(days) if futures_trade(day)))


EVERY_DAY = DayChoice(every=True)


def parse_days(texts: Sequence[str]) -> DayChoice:
    """Read days as a user writes them: ``2025-12-16``, ``D..D``, ``all``, ``last``; none means all.

    Raises :class:`UsageError` for anything else, :class:`ReversedRangeError` for a range that ends before it begins.
    """
    words = {text for text in texts if text in (EVERY, LAST)}
    ranges = tuple(_parse_range(text) for text in texts if text not in words)
    return DayChoice(ranges, every=EVERY in words or not texts, last=LAST in words)


def parse_dates(texts: Sequence[str]) -> list[date]:
    """Read days that need not be there, ``2025-12-16`` or ``D..D``; returns them in order, each once.

    Raises like :func:`parse_days`, for ``all`` and ``last`` too.
    """
    return sorted({day for text in texts for day in _days(*_parse_range(text))})


def trading_day_choice(day: date) -> DayChoice:
    """Return the UTC days that a CME trading day spans."""
    start_ns, end_ns = trading_day(day)
    return DayChoice(((date_of(start_ns), date_of(end_ns - 1)),), trading_day=day)


def _parse_range(text: str) -> tuple[date, date]:
    first_text, dots, last_text = text.partition("..")
    first = parse_date(first_text)
    last = parse_date(last_text) if dots else first
    if last < first:
        raise ReversedRangeError(first, last)
    return first, last


def _days(first: date, last: date) -> Iterable[date]:
    return map(date.fromordinal, range(first.toordinal(), last.toordinal() + 1))


@dataclass(frozen=True, slots=True)
class FileQuery:
    """What to read: schemas, days, the words of a :class:`SymbolChoice` (none: all symbols), and the dataset where a
    folder holds several."""

    schemas: tuple[str, ...] = SCHEMAS
    days: DayChoice = EVERY_DAY
    symbols: tuple[str, ...] = ()
    dataset: str | None = None


@dataclass(frozen=True, slots=True)
class FileChoice:
    """The files to read, in catalog order and without what another one holds already, and the ``days`` to read.

    ``absent`` are days of a range without a file, ``empty`` those without a record in theirs; ``unreadable`` may hold
    one of the days and cannot be read, ``passed_over`` may hold one and is not replayed, with the reason;
    ``unreadable_sidecars`` are job files that cannot be read.
    """

    root: Path
    query: FileQuery
    days: tuple[date, ...]
    files: tuple[DBNFileInfo, ...]
    overlaps: tuple[Overlap, ...]
    absent: tuple[date, ...]
    empty: tuple[date, ...]
    unreadable: tuple[DamagedFileError, ...]
    passed_over: tuple[tuple[Path, str], ...]
    unreadable_sidecars: tuple[DamagedFileError, ...]

    def files_of(self, schema: str, day: date) -> list[DBNFileInfo]:
        """Return the files that hold a schema on a UTC day."""
        return [info for info in self.files if info.schema == schema and info.covers(day)]


def choose_files(catalog: Catalog, query: FileQuery) -> FileChoice:
    """Decide which files to read.

    Raises :class:`NoDataError` where nothing matches, :class:`MixedFilesError` and :class:`SeveralDatasetsError` where
    the files must not be read as one input, and the error of a file that cannot be read where that is the one of a day.
    """
    root, unreadable = catalog.root, catalog.unreadable
    infos = matching_files(catalog, query)
    if not infos:
        raise unreadable[0] if unreadable else no_such_data(catalog, query)
    days = _choose_days(query.days, infos, root, unreadable)
    lacking = query.days.absent(days)
    empty = tuple(day for day in lacking if any(info.covers(day) for info in infos))
    infos = [info for info in infos if any(info.covers(day) for day in days)]
    refuse_mixture(infos, root)
    infos, overlaps = resolve_overlaps(with_symbols(with_siblings(infos), query.symbols, root))
    named = query.days.named
    return FileChoice(
        root=root,
        query=query,
        days=days,
        files=tuple(infos),
        overlaps=tuple(overlaps),
        absent=tuple(day for day in lacking if day not in empty),
        empty=empty,
        unreadable=(
            *(error for error in unreadable if named is None or may_hold(Path(error.path), named)),
            *_damaged_definitions(catalog, infos),
        ),
        passed_over=tuple(
            (path, reason)
            for path, reason in catalog.passed_over
            if may_hold(path, days) and not any(file.path == path for file in catalog.definitions)
        ),
        unreadable_sidecars=tuple(catalog.unreadable_sidecars),
    )


def _damaged_definitions(catalog: Catalog, infos: Sequence[DBNFileInfo]) -> list[DamagedDefinitionsError]:
    spans = [(info.dataset, day_number(info.first_date), day_number(info.last_date)) for info in infos]
    return [
        DamagedDefinitionsError(file.problem)
        for file in catalog.definitions
        if file.problem is not None
        and any(file.header.dataset == dataset and file.covers(*days) for dataset, *days in spans)
    ]


def matching_files(catalog: Catalog, query: FileQuery) -> list[DBNFileInfo]:
    """Return the files of the schemas and the dataset asked for, whatever their days and symbols."""
    return [info for info in catalog.files if info.schema in query.schemas and query.dataset in (None, info.dataset)]


def no_such_data(catalog: Catalog, query: FileQuery) -> NoDataError:
    """Return the error for schemas or a dataset that no file of a folder holds, or for one without any to play."""
    if not catalog.files:
        return NothingPlayableError(path_text(catalog.root), catalog.unplayable)
    refused = [f"{path.name} {reason}" for path, reason in catalog.passed_over if f"holds {query.dataset}," in reason]
    if refused:
        return NoSuchDataError(refused[0], "GLBX.MDP3 is the dataset of CME's futures")
    held = sorted({info.dataset for info in catalog.files})
    if query.dataset is not None and held and query.dataset not in held:
        return UnknownDatasetError(query.dataset, path_text(catalog.root), held)
    return NoSuchDataError(f"no {' or '.join(query.schemas)} data in {path_text(catalog.root)}")


def _choose_days(
    choice: DayChoice, infos: Sequence[DBNFileInfo], root: Path, unreadable: Sequence[DamagedFileError]
) -> tuple[date, ...]:
    available = days_of(infos)
    days = choice.among(available)
    absent = sorted(days.difference(available))
    if choice.trading_day is not None and absent:
        raise NoSuchDataError(
            f"no data for the trading day {choice.trading_day} in {path_text(root)}, which holds {_span(available)}"
        )
    if absent:
        joined = [info.problem for info in infos if info.problem is not None and JOINED in info.problem.reason]
        for error in (*unreadable, *joined):
            if may_hold(Path(error.path), absent):
                raise error
        raise MissingDaysError(absent, path_text(root), _span(available))
    return tuple(sorted(days))


def _span(days: Sequence[date]) -> str:
    if len(days) <= 3:
        return ", ".join(map(str, days)) or "none"
    return f"{days[0]} to {days[-1]} ({len(days)} dates)"


def with_symbols(infos: Sequence[DBNFileInfo], words: Sequence[str], root: Path) -> list[DBNFileInfo]:
    """Pick the files that may hold one of the symbols asked for; a file that names no instrument may.

    Raises :class:`UnknownSymbolError` where there is no such file.
    """
    if not words:
        return list(infos)
    choice = SymbolChoice(words)
    picked = [
        info for info in infos if not info.mappings or choice.takes_any(info.symbols) or choice.mappings(info.mappings)
    ]
    if infos and not picked:
        held = list(dict.fromkeys(name for info in infos for name in info.names()))
        raise UnknownSymbolError(words, path_text(root), held)
    return picked


def refuse_mixture(infos: Sequence[DBNFileInfo], root: Path) -> None:
    """Raise where files must not be read as one input: :class:`MixedFilesError` for synthetic ones beside the vendor's,
    :class:`SeveralDatasetsError`."""
    if len({info.synthetic for info in infos}) > 1:
        raise MixedFilesError(path_text(root))
    if len(datasets := sorted({info.dataset for info in infos})) > 1:
        raise SeveralDatasetsError(path_text(root), datasets)


def files_for_day(infos: Sequence[DBNFileInfo], day: date, root: Path) -> list[DBNFileInfo]:
    """Pick the files that hold a UTC day, without what an earlier one of them holds already.

    Raises like :func:`refuse_mixture`.
    """
    return files_for_days([info for info in infos if info.covers(day)], root)


def files_for_days(infos: Sequence[DBNFileInfo], root: Path) -> list[DBNFileInfo]:
    """Return files that know each other's names, without what an earlier one of them holds already.

    Raises like :func:`refuse_mixture`.
    """
    refuse_mixture(infos, root)
    return resolve_overlaps(with_siblings(infos))[0]


def selection_for(info: DBNFileInfo, selection: Selection) -> Selection:
    """Narrow a selection to one file: days are told apart only in a file that holds more than those asked for."""
    selection = replace(selection, exclusions=info.exclusions)
    first, last = day_number(info.first_date), day_number(info.last_date)
    if selection.days is not None and selection.days.issuperset(range(first, last + 1)):
        return replace(selection, days=None)
    return selection
