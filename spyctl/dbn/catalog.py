"""What a data folder holds: one :class:`DBNFileInfo` a file, in catalog order (schema, date, name)."""

import os
import re
import stat
from collections.abc import Collection, Generator, Iterator, Sequence
from collections.abc import Mapping as MappingType
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from spyctl.dbn.instruments import Definitions, Naming
from spyctl.dbn.reader import CHUNK_RECORDS, RTYPES, Captured, DBNFile, Header, Records, is_dbn_name
from spyctl.dbn.sidecars import Jobs, Listed
from spyctl.dbn.zstd import walk_frames
from spyctl.errors import DamagedFileError, NoDataError, OtherSchemaError, UsageError
from spyctl.market.columns import SCHEMAS
from spyctl.market.symbology import Mapping
from spyctl.timing.instants import DAY, date_of, day_number

# Compressed files are unpacked to count their records only while they are small, and so many bytes in all.
SMALL = 4_000_000
FIRST_YEAR = 1980
_UNPACK_IN_ALL = 8_000_000
_UNPACKED = {"trades": 4, "mbp-10": 18}  # what zstd saves on such files, roughly
# {dataset}-{YYYYMMDD}[-{YYYYMMDD}].{schema}[.{symbol or number}].dbn[.zst]; the second date is inclusive
_NAME = re.compile(r".+?-(\d{8})(?:-(\d{8}))?\..+\.dbn(?:\.zst)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Shadow:
    """What another file already holds: ``ts_recv`` from ``first_ns`` to ``last_ns``, both inclusive, of some
    instruments, ``None`` for all."""

    first_ns: int
    last_ns: int
    ids: frozenset[int] | None


def archive_of(unpacked: Path) -> Path:
    """Return where the archive of an unpacked file lies."""
    return unpacked.with_name(f"{unpacked.name}.zst")


@dataclass(frozen=True, slots=True)
class DBNFileInfo:
    """One file of the data folder, or what a live capture holds of one schema.

    ``first_date`` and ``last_date`` are UTC days of ``ts_recv``, both inclusive. ``records`` is ``None`` where
    only reading the whole file would tell; ``first_ns`` and ``last_ns`` are the ``ts_recv`` of its first
    and last record. ``problem`` says what is wrong with the file, if anything; ``conditions`` are the days that
    the vendor calls anything but available, with its word; ``misnamed`` tells that the records are not of the
    days in its name; ``errors`` is what the gateway of a live capture complained of. ``listed`` is what a
    manifest says of it, ``archive_listed`` what it says of the archive that it was unpacked from. ``start_ns``
    and ``end_ns`` are what was asked for; ``shadows`` is what to leave out of it.
    """

    path: Path
    schema: str
    dataset: str
    symbols: tuple[str, ...]
    version: int
    size: int
    first_date: date
    last_date: date
    records: int | None
    first_ns: int | None
    last_ns: int | None
    compressed: bool
    synthetic: bool
    naming: Naming
    problem: DamagedFileError | None = None
    capture: bool = False
    errors: tuple[str, ...] = ()
    misnamed: bool = False
    conditions: tuple[tuple[date, str], ...] = ()
    listed: Listed | None = None
    archive_listed: Listed | None = None
    start_ns: int = 0
    end_ns: int | None = None
    shadows: tuple[Shadow, ...] = ()

    @property
    def span(self) -> tuple[int, int]:
        """The ``ts_recv`` of its first and last record, as far as that is known without reading it whole."""
        midnight = (day_number(self.last_date) + 1) * DAY
        first = self.first_ns if self.first_ns is not None else self.start_ns
        last = self.last_ns if self.last_ns is not None else min(self.end_ns or midnight, midnight) - 1
        return first, max(first, last)

    @property
    def mappings(self) -> tuple[Mapping, ...]:
        """What names its instruments."""
        return self.naming.mappings

    @property
    def header_ids(self) -> frozenset[int]:
        """The instruments that it names itself."""
        return self.naming.ids

    @property
    def record_bytes(self) -> int:
        """About how many bytes its records are, unpacked."""
        return self.size * _UNPACKED[self.schema] if self.compressed else self.size

    def covers(self, day: date) -> bool:
        """Tell whether the file holds a UTC day."""
        return self.first_date <= day <= self.last_date

    def open(self) -> DBNFile:
        """Open the file to read its records. Raises :class:`DamagedFileError`."""
        return DBNFile(self.path, self.schema)

    def chunks(self, size: int = CHUNK_RECORDS) -> Generator[Records, None, None]:
        """Yield the records like :meth:`DBNFile.chunks`; what looks whole, though its manifest knows of more, ends with
        :class:`DamagedFileError` too."""
        yield from self.open().chunks(size)
        if self.problem is not None:
            raise self.problem

    def complaints(self) -> list[str]:
        """Say what the gateway of a live capture complained of: records may be missing."""
        many = f" and {len(self.errors) - 1:,} more" if len(self.errors) > 1 else ""
        return [f"{self.path.name}: the gateway said: {self.errors[0]}{many}"] if self.errors else []

    def names(self) -> list[str]:
        """Return the symbols that it was asked for and those that name its instruments."""
        return list(dict.fromkeys([*self.symbols, *(mapping.symbol for mapping in self.mappings)]))


@dataclass(frozen=True, slots=True)
class Catalog:
    """What a data folder holds: ``files`` in catalog order, and what is not among them.

    ``unreadable`` cannot be read at all, ``passed_over`` are files with the reason why they are not replayed,
    ``missing`` are listed in a manifest and not there, ``beside`` are job files that cannot be read.
    """

    files: list[DBNFileInfo]
    unreadable: list[DamagedFileError]
    passed_over: list[tuple[Path, str]]
    missing: list[Path]
    beside: list[DamagedFileError]


def scan(root: Path) -> Catalog:
    """List the trades and mbp-10 files below a folder, and all other files there that are, or should be, DBN.

    Only headers and both ends are read, small compressed files whole.
    Raises :class:`NoDataError` where there is no such folder, or nothing in it, and
    :class:`OtherSchemaError` where there are only files of other schemas.
    """
    if not root.is_dir():
        raise NoDataError(
            f"{root} is a file, not a data folder" if root.exists() else f"there is no data folder {root}",
            "--data-dir DIR, or spyctl sample to write a synthetic day there",
        )
    catalog, others, jobs, definitions = Catalog([], [], [], [], []), [], Jobs(root), Definitions()
    sizes = _find(root, catalog, jobs)
    counted = _worth_counting(sizes)
    for path in sizes:
        if path.suffix == ".zst" and path.with_suffix("") in sizes:
            _choose(path, sizes[path], catalog, jobs, definitions)
            continue
        try:
            catalog.files.extend(_inspect(path, sizes[path], jobs, definitions, count=path in counted))
        except OtherSchemaError as error:
            others.append(error)
            catalog.passed_over.append((path, error.reason))
        except DamagedFileError as error:
            catalog.unreadable.append(error)
    catalog.beside.extend(jobs.unreadable.values())
    if not catalog.files and not catalog.unreadable:
        if others:
            raise others[0]
        raise NoDataError(f"no DBN files in {root}", "--data-dir DIR, or spyctl sample to write a synthetic day there")
    catalog.files.sort(key=lambda info: (SCHEMAS.index(info.schema), info.first_date, info.path.name))
    catalog.missing.extend(jobs.missing({path.name for path in sizes}))
    return catalog


def _choose(archive: Path, size: int, catalog: Catalog, jobs: Jobs, definitions: Definitions) -> None:
    # Of an archive and the file unpacked from it: the unpacked one, unless it holds less than the archive does.
    unpacked = archive.with_suffix("")
    mine = [info for info in catalog.files if info.path == unpacked]
    unreadable = [error for error in catalog.unreadable if error.path == str(unpacked)]
    lacking = any(info.problem is not None or not info.records for info in mine)
    content = walk_frames(archive).content if mine and not lacking else None
    if not (lacking or unreadable or (content is not None and content > mine[0].size)):
        catalog.passed_over.append((archive, f"it lies unpacked beside it, {unpacked.name}"))
        return
    try:
        packed = list(_inspect(archive, size, jobs, definitions, count=True))
    except DamagedFileError:
        packed = []
    if sum(info.records or 0 for info in packed) <= sum(info.records or 0 for info in mine) and not unreadable:
        catalog.passed_over.append((archive, f"it lies unpacked beside it, {unpacked.name}, and holds no more"))
        return
    if not packed:
        catalog.passed_over.append((archive, f"damaged, like {unpacked.name} beside it"))
        return
    catalog.files[:] = [info for info in catalog.files if info.path != unpacked] + packed
    catalog.unreadable[:] = [error for error in catalog.unreadable if error.path != str(unpacked)]
    why = "damaged" if unreadable or any(info.problem is not None for info in mine) else "cut short"
    catalog.passed_over.append((unpacked, f"{why}, and its archive lies beside it, {archive.name}"))


def _find(root: Path, catalog: Catalog, jobs: Jobs) -> dict[Path, int]:
    # The files named as DBN files are, with their sizes, by path; the forms that look alike are passed over.
    found = {}
    seen: set[str] = set()
    for folder, folders, names in os.walk(
        root, onerror=lambda error: catalog.unreadable.append(_closed(error)), followlinks=True
    ):
        seen.add(os.path.realpath(folder))
        below = {os.path.realpath(Path(folder, one)): one for one in sorted(folders, reverse=True) if one[0] != "."}
        folders[:] = sorted(one for real, one in below.items() if real not in seen)  # links are followed, but once
        seen.update(below)
        if "manifest.json" in names:
            jobs.manifest(Path(folder))
        for name in names:
            path = Path(folder) / name
            try:
                str(path).encode()
            except UnicodeEncodeError:
                shown = Path(os.fsencode(path).decode(errors="replace"))
                catalog.passed_over.append((shown, "its name is no UTF-8: rename it"))
                continue
            if is_dbn_name(name):
                try:
                    status = path.stat()
                except OSError as error:
                    catalog.unreadable.append(_closed(error))
                    continue
                if stat.S_ISREG(status.st_mode):
                    found[path] = status.st_size
                else:
                    catalog.passed_over.append((path, "no ordinary file"))
            elif reason := _alike(name):
                catalog.passed_over.append((path, reason))
    return dict(sorted(found.items()))


_ALIKE = {
    ".zip": "a packed job: unpack it",
    ".csv": "CSV: order DBN instead",
    ".csv.zst": "CSV: order DBN instead",
    ".json.zst": "JSON: order DBN instead",
    ".dbn.gz": "packed with gzip: unpack it",
    ".dbn": "a DBN file whose name is in capitals: rename it",
    ".dbn.zst": "a DBN file whose name is in capitals: rename it",
    ".dbz": "a DBZ file, from before DBN: convert it with Databento's dbn tool",
    ".frag": "a DBN fragment without a header",
    ".frag.zst": "a DBN fragment without a header",
    ".dbn.part": "a download that was not finished",
    ".dbn.zst.part": "a download that was not finished",
    ".tar": "a packed job: unpack it",
    ".tar.gz": "a packed job: unpack it",
    ".tgz": "a packed job: unpack it",
}
_NO_END = "its name does not end in .dbn or .dbn.zst: rename it, if it is whole"


def _alike(name: str) -> str | None:
    # Why a file that may hold data is none to be read.
    lower = name.lower()
    found = next((why for ending, why in _ALIKE.items() if lower.endswith(ending)), None)
    schema = lower.endswith(".zst") and any(f".{schema}." in lower for schema in SCHEMAS)
    return found or (_NO_END if ".dbn" in lower or schema else None)


def _worth_counting(sizes: MappingType[Path, int]) -> set[Path]:
    found, left = set(), _UNPACK_IN_ALL
    for path in sorted((path for path in sizes if path.suffix == ".zst"), key=lambda path: sizes[path]):
        left -= sizes[path]
        if left < 0 or sizes[path] > SMALL:
            break
        found.add(path)
    return found


def _closed(error: OSError) -> DamagedFileError:
    return DamagedFileError(
        str(error.filename), f"cannot be looked into ({error.strerror})", remedy="give yourself the right to read it"
    )


def _inspect(path: Path, size: int, jobs: Jobs, definitions: Definitions, *, count: bool) -> Iterator[DBNFileInfo]:
    synthetic = jobs.synthetic(path.parent)
    file = DBNFile(path)
    if file.schema == "definition":
        definitions.add(file)
        raise OtherSchemaError(str(path), "holds definitions, which give names where nothing else does")
    told = Captured(frozenset(), (), (), None)
    end_ns = file.header.end_ns
    vague = _named_dates(path) is None and (end_ns is None or end_ns - file.header.start_ns > DAY)
    complete, schemas = count or vague or not file.compressed, [file.schema or ""]  # the last day has to be known
    if capture := file.schema is None:
        told, complete = file.captured(), True
        schemas = [schema for schema in SCHEMAS if RTYPES[schema] in told.rtypes]
        if not schemas and told.damage is not None:
            raise told.damage
        if not schemas:
            raise OtherSchemaError(str(path), "holds mixed records of a live capture, no trades or mbp-10 among them")
    for schema in schemas:
        file.schema = schema
        yield _described(file, size, jobs, definitions, told, capture=capture, complete=complete, made_up=synthetic)


def _described(
    file: DBNFile,
    size: int,
    jobs: Jobs,
    definitions: Definitions,
    told: Captured,
    *,
    capture: bool,
    complete: bool,
    made_up: bool,
) -> DBNFileInfo:
    path, header, listed = file.path, file.header, jobs.listed(file.path)
    itemsize = file.dtype.itemsize  # refuses other schemas
    extent = _ends(file, size, itemsize) if not (file.compressed or capture) else _read_through(file, whole=complete)
    if extent.problem is None and listed is not None and size < listed.size:
        extent.problem = DamagedFileError(
            str(path),
            f"cut short: manifest.json says {listed.size:,} bytes, it ends",
            offset=size,
            remedy="download it again",
        )
    first_date, last_date, misnamed = _dates(path, header, extent.first_ns, extent.last_ns)
    conditions = jobs.conditions(path.parent, first_date, last_date)
    if extent.first_ns is None and extent.problem is None and first_date.year < FIRST_YEAR:
        raise OtherSchemaError(str(path), "holds no record, and tells of no day")
    first_day, last_day = day_number(first_date), day_number(last_date)
    naming = Naming(
        header, told.mappings, jobs.symbology(path.parent), lambda: definitions.of(header.dataset, first_day, last_day)
    )
    return DBNFileInfo(
        path=path,
        schema=file.schema or "",
        dataset=header.dataset,
        symbols=header.symbols or (tuple(dict.fromkeys(one.symbol for one in naming.own)) if capture else ()),
        version=header.version,
        size=size,
        first_date=first_date,
        last_date=last_date,
        records=extent.records,
        first_ns=extent.first_ns,
        last_ns=extent.last_ns,
        compressed=file.compressed,
        synthetic=made_up,
        naming=naming,
        errors=told.errors,
        problem=extent.problem,
        capture=capture,
        misnamed=misnamed,
        conditions=tuple(sorted(conditions.items())),
        listed=listed,
        archive_listed=None if file.compressed else jobs.listed(archive_of(path)),
        start_ns=header.start_ns,
        end_ns=header.end_ns,
    )


@dataclass(slots=True)
class _Extent:
    records: int | None = None
    first_ns: int | None = None
    last_ns: int | None = None
    problem: DamagedFileError | None = None


def _ends(file: DBNFile, size: int, itemsize: int) -> _Extent:
    # A plain file: as many records as its length says, its first and its last one.
    found = _Extent()
    first = last = file.last()
    try:
        first = file.first()
    except DamagedFileError as error:
        first, found.problem = last[:0], error
    count, rest = divmod(size - file.header.size, itemsize)
    if len(first):
        usual = int(first["ts_recv"].view("i8")[0])
        found.first_ns = usual if usual > 0 else _first_time(file)
    if len(last) and not file.is_good(last):
        found.problem = found.problem or DamagedFileError(
            str(file.path), f"ends with what is no {file.schema} record", offset=size - rest - itemsize,
            remedy="download it again",
        )  # fmt: skip
        return found
    found.records = count
    found.last_ns = _received(last[0]) if len(last) else None
    if rest and found.problem is None:
        found.problem = DamagedFileError(
            str(file.path),
            f"cut short inside record {count + 1:,}",
            offset=size - rest,
            records=count,
            remedy="download it again",
        )
    return found


def _read_through(file: DBNFile, *, whole: bool) -> _Extent:
    # Any other file: all of it, or its first record alone.
    found = _Extent(records=0)
    try:
        with closing(file.chunks() if whole else file.chunks(1)) as chunks:
            for chunk in chunks:
                if found.records == 0:
                    usual = int(chunk["ts_recv"].view("i8")[0])
                    found.first_ns = usual if usual > 0 else _first_time(file)
                times = [ns for ns in [_received(chunk[-1])] if ns is not None]
                if not whole:
                    found.records = None
                    break
                found.last_ns = times[-1] if times else found.last_ns
                found.records = (found.records or 0) + len(chunk)
    except DamagedFileError as error:
        found.problem = error
    return found


def _first_time(file: DBNFile) -> int | None:
    # For a first record that has no time at all, or whose ts_recv is undefined, which tells little of the day.
    with closing(file.chunks()) as chunks:
        records = next(chunks)
    for name in ("ts_recv", "ts_event"):
        times = records[name].view("i8")
        if (times > 0).any():
            return int(times[times > 0][0])
    return None


def _received(record: object) -> int | None:
    ts_recv, ts_event = int(record["ts_recv"]), int(record["ts_event"])  # type: ignore[index]
    found = ts_event if ts_recv >> 63 else ts_recv
    return None if found >> 63 else found


def _dates(path: Path, header: Header, first_ns: int | None, last_ns: int | None) -> tuple[date, date, bool]:
    # The header bounds the query; the name gives the days where the header covers more than this part, unless the
    # records prove it wrong.
    first = date_of(first_ns if first_ns is not None else header.start_ns)
    last = date_of(last_ns) if last_ns is not None else first
    named = _named_dates(path)
    if named is not None and (first_ns is None or (named[0] <= first and last <= named[1])):
        return *named, False
    if last_ns is None and header.end_ns:
        last = max(first, date_of(header.end_ns - 1))
    return first, max(first, last), named is not None


def _named_dates(path: Path) -> tuple[date, date] | None:
    match = _NAME.fullmatch(path.name)
    try:
        return (date.fromisoformat(match[1]), date.fromisoformat(match[2] or match[1])) if match else None
    except ValueError:
        return None


def may_hold(path: Path, chosen: Collection[date]) -> bool:
    """Tell by its name whether a file that cannot be read may hold one of some days."""
    named = _named_dates(path)
    return named is None or any(named[0] <= day <= named[1] for day in chosen)


def days(infos: list[DBNFileInfo]) -> list[date]:
    """List the UTC days that the files cover, in order."""
    found: set[date] = set()
    for info in infos:
        count = (info.last_date - info.first_date).days + 1
        found.update(info.first_date + timedelta(days=shift) for shift in range(count))
    return sorted(found)


def refuse_mixture(infos: Sequence[DBNFileInfo], where: str) -> None:
    """Raise :class:`UsageError` where files must not be read as one input: synthetic and vendor's, two datasets."""
    if len({info.synthetic for info in infos}) > 1:
        raise UsageError(
            f"{where} holds synthetic and vendor files for these dates; they are never merged",
            "keep synthetic days in a folder of their own, --data-dir DIR",
        )
    if len(datasets := sorted({info.dataset for info in infos})) > 1:
        raise UsageError(
            f"{where} holds {' and '.join(datasets)} for these dates; one at a time is read",
            f"--dataset {datasets[0]}",
        )
