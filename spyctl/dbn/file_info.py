"""What is known of one data file without reading it whole."""

import re
from collections.abc import Collection, Generator, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from spyctl.dbn.extent import Extent, ExtentCounter
from spyctl.dbn.file_memory import FileMemory
from spyctl.dbn.instruments import Naming
from spyctl.dbn.reader import CHUNK_RECORDS, DBNFile
from spyctl.dbn.records import Header, Records
from spyctl.dbn.sidecars import ManifestEntries
from spyctl.dbn.sort_times import Exclusion
from spyctl.errors import DamagedFileError
from spyctl.market.symbology import Mapping
from spyctl.timing.instants import DAY, day_number

_UNPACKED = {"trades": 4, "mbp-10": 18}  # what zstd saves on such files, roughly
# {dataset}-{YYYYMMDD}[-{YYYYMMDD}].{schema}[.{symbol or number}].dbn[.zst]; the second date is inclusive
_NAME = re.compile(r".+?-(\d{8})(?:-(\d{8}))?\..+\.dbn(?:\.zst)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class DBNFileInfo:
    """One file of the data folder, or what a live capture holds of one schema.

    ``first_date`` and ``last_date`` are UTC days of ``ts_recv``, both inclusive. ``naming`` knows what its instruments
    are called. ``gateway_errors`` is what the gateway of a live capture complained of; ``misnamed`` tells that the
    records are not of the days in the file's name; ``conditions`` are the days that the vendor calls anything but
    available, with its word. ``exclusions`` is what to leave out when it is read beside other files. ``memory``
    keeps what reading it to its end tells.
    """

    file: DBNFile
    first_date: date
    last_date: date
    extent: Extent
    naming: Naming
    synthetic: bool = False
    gateway_errors: tuple[str, ...] = ()
    misnamed: bool = False
    conditions: tuple[tuple[date, str], ...] = ()
    manifest: ManifestEntries = field(default_factory=ManifestEntries)
    exclusions: tuple[Exclusion, ...] = ()
    memory: FileMemory | None = None

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.file.path

    @property
    def schema(self) -> str:
        """The schema of its records, or the one that is read of a live capture."""
        return str(self.file.schema)

    @property
    def header(self) -> Header:
        """Its header."""
        return self.file.header

    @property
    def size(self) -> int:
        """Its bytes on disk."""
        return self.file.size

    @property
    def compressed(self) -> bool:
        """Whether it is a zstd file."""
        return self.file.compressed

    @property
    def key(self) -> tuple[Path, str]:
        """What tells it from the others of a folder: a live capture is one file and several schemas."""
        return self.path, self.schema

    @property
    def dataset(self) -> str:
        """The vendor's dataset, as ``GLBX.MDP3``."""
        return self.header.dataset

    @property
    def version(self) -> int:
        """The version of DBN, 1 to 3."""
        return self.header.version

    @property
    def capture(self) -> bool:
        """Whether it is a live capture, which mixes records of all kinds."""
        return self.header.schema is None

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols that it was requested for; of a live capture, those that its records name."""
        if self.header.symbols or not self.capture:
            return self.header.symbols
        return tuple(dict.fromkeys(mapping.symbol for mapping in self.naming.own))

    @property
    def mappings(self) -> tuple[Mapping, ...]:
        """What names its instruments."""
        return self.naming.mappings

    @property
    def records(self) -> int | None:
        """How many records it holds, ``None`` where only reading the whole file would tell."""
        return self.extent.records

    @property
    def first_ns(self) -> int | None:
        """The ``ts_recv`` of its first record."""
        return self.extent.first_ns

    @property
    def last_ns(self) -> int | None:
        """The ``ts_recv`` of its last record."""
        return self.extent.last_ns

    @property
    def problem(self) -> DamagedFileError | None:
        """What is wrong with the file, as far as that is known."""
        return self.extent.problem

    @property
    def span(self) -> tuple[int, int]:
        """The ``ts_recv`` of its first and last record, as far as that is known without reading it whole."""
        midnight = (day_number(self.last_date) + 1) * DAY
        first = self.first_ns if self.first_ns is not None else self.header.start_ns
        last = self.last_ns if self.last_ns is not None else min(self.header.end_ns or midnight, midnight) - 1
        return first, max(first, last)

    @property
    def record_bytes(self) -> int:
        """About how many bytes its records are, unpacked."""
        return self.size * _UNPACKED[self.schema] if self.compressed else self.size

    @property
    def dates(self) -> list[date]:
        """The UTC days that it holds, in order: those with a record where that is known, else all of its span."""
        if self.problem is not None:
            return self.span_dates
        if self.records == 0:
            return []
        days = self.extent.days
        return [day for day in self.span_dates if days is None or day_number(day) in days]

    @property
    def span_dates(self) -> list[date]:
        """The UTC days from its first to its last one, in order, whether they have a record or not."""
        count = (self.last_date - self.first_date).days + 1
        return [self.first_date + timedelta(days=shift) for shift in range(count)]

    def covers(self, day: date) -> bool:
        """Tell whether the file may hold a UTC day; of a live capture, whether it does."""
        within = self.first_date <= day <= self.last_date
        return within and (not self.capture or day in self.dates)

    def chunks(self, size: int = CHUNK_RECORDS, start: int = 0) -> Generator[Records, None, None]:
        """Yield the records like :meth:`DBNFile.chunks`; a file that looks whole, though its manifest knows of more,
        ends with :class:`DamagedFileError` too."""
        unknown = self.memory is not None and self.extent.days is None and not start
        counter = ExtentCounter() if unknown else None
        for records in self.file.chunks(size, start):
            if counter is not None:
                counter.add(records)
            yield records
        if self.problem is not None:
            raise self.problem
        if self.memory is not None and counter is not None:
            self.memory.put({self.path: (self.file.stamp, counter.extent().as_list())})

    def gateway_warnings(self) -> list[str]:
        """Say what the gateway of a live capture complained of: records may be missing."""
        if not self.gateway_errors:
            return []
        more = f" and {len(self.gateway_errors) - 1:,} more" if len(self.gateway_errors) > 1 else ""
        return [f"{self.path.name}: the gateway said: {self.gateway_errors[0]}{more}"]

    def names(self) -> list[str]:
        """Return the symbols that it was requested for and those that name its instruments."""
        return list(dict.fromkeys([*self.symbols, *(mapping.symbol for mapping in self.mappings)]))


def archive_of(unpacked: Path) -> Path:
    """Return where the archive of an unpacked file lies."""
    return unpacked.with_name(f"{unpacked.name}.zst")


def dates_in_name(path: Path) -> tuple[date, date] | None:
    """Return the first and last UTC day that the name of a file gives, ``None`` where it gives none."""
    match = _NAME.fullmatch(path.name)
    try:
        return (date.fromisoformat(match[1]), date.fromisoformat(match[2] or match[1])) if match else None
    except ValueError:
        return None


def may_hold(path: Path, days: Collection[date]) -> bool:
    """Tell by its name whether a file that cannot be read may hold one of some days."""
    named = dates_in_name(path)
    return named is None or any(named[0] <= day <= named[1] for day in days)


def days_of(infos: Iterable[DBNFileInfo]) -> list[date]:
    """List the UTC days that the files hold, in order."""
    return sorted({day for info in infos for day in info.dates})
