"""What a data folder holds: one :class:`DBNFileInfo` a file, in catalog order (schema, date, name)."""

import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import orjson

from spyctl.columns import SCHEMAS
from spyctl.errors import DamagedFileError, NoDataError, OtherSchemaError
from spyctl.sources.dbn_file import DBNFile, Header
from spyctl.symbology import Mapping, read_symbology
from spyctl.times import date_of

SMALL = 8_000_000  # compressed bytes up to which a file is unpacked to count its records
# {dataset}-{YYYYMMDD}[-{YYYYMMDD}].{schema}[.{symbol or number}].dbn[.zst]; the second date is inclusive
_PART = re.compile(r"(.+)\.(\d{4,})\.dbn(?:\.zst)?", re.ASCII)
_NAME = re.compile(r".+?-(\d{8})(?:-(\d{8}))?\..+\.dbn(?:\.zst)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class DBNFileInfo:
    """One file of the data folder.

    ``first_date`` and ``last_date`` are UTC days of ``ts_recv``, both inclusive. ``records`` is ``None`` where
    only reading the whole file would tell; ``first_ns`` and ``last_ns`` are the ``ts_recv`` of its first
    and last record. ``problem`` says what is wrong with the file, if anything.
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
    mappings: tuple[Mapping, ...]
    header_ids: frozenset[int]
    problem: DamagedFileError | None = None

    def covers(self, day: date) -> bool:
        """Tell whether the file holds a UTC day."""
        return self.first_date <= day <= self.last_date


def scan(root: Path) -> tuple[list[DBNFileInfo], list[DamagedFileError]]:
    """List the trades and mbp-10 files below a folder, and the files there that cannot be read at all.

    Only headers and both ends are read, small compressed files whole; files of other schemas are passed over.
    Raises :class:`NoDataError` where there is no such folder, or nothing in it, and
    :class:`OtherSchemaError` where there are only such files.
    """
    if not root.is_dir():
        raise NoDataError(
            f"{root} is a file, not a data folder" if root.exists() else f"there is no data folder {root}",
            "--data-dir DIR, or spyctl sample to write a synthetic day there",
        )
    infos, unreadable, others = [], [], []
    paths = []
    for folder, _, names in os.walk(root, onerror=lambda error: unreadable.append(_closed(error))):
        found = (Path(folder) / name for name in names if name.endswith((".dbn", ".dbn.zst")))
        paths += [path for path in found if path.is_file()]
    paths.sort()
    synthetic: dict[Path, bool] = {}
    for path in paths:
        if path.suffix == ".zst" and path.with_suffix("") in paths:
            continue  # unpacked beside its archive: the same records
        try:
            info = _inspect(path, _is_synthetic(path.parent, root, synthetic))
        except OtherSchemaError as error:
            others.append(error)
        except DamagedFileError as error:
            unreadable.append(error)
        else:
            infos.append(info)
    if not infos and not unreadable and others:
        raise others[0]
    if not infos and not unreadable:
        raise NoDataError(f"no DBN files in {root}", "--data-dir DIR, or spyctl sample to write a synthetic day there")
    infos.sort(key=lambda info: (SCHEMAS.index(info.schema), info.first_date, info.path.name))
    return infos, unreadable


def _closed(error: OSError) -> DamagedFileError:
    return DamagedFileError(
        str(error.filename), f"cannot be looked into ({error.strerror})", remedy="give yourself the right to read it"
    )


def _inspect(path: Path, synthetic: bool) -> DBNFileInfo:
    file = DBNFile(path)
    header = file.header
    size = path.stat().st_size
    itemsize = file.dtype.itemsize  # refuses other schemas
    compressed = file.compressed
    records: int | None = None
    first_ns = last_ns = None
    problem = None
    if compressed and size <= SMALL:
        records = 0
        try:
            for chunk in file.chunks():
                first_ns = _received(chunk[0]) if first_ns is None else first_ns
                last_ns = _received(chunk[-1])
                records += len(chunk)
        except DamagedFileError as error:
            problem = error
    else:
        try:
            first = file.first()
        except DamagedFileError as error:
            first, problem = file.last()[:0], error
        first_ns = _received(first[0]) if len(first) else None
        if not compressed:
            records, rest = divmod(size - header.size, itemsize)
            last = file.last()
            last_ns = _received(last[0]) if len(last) else None
            if rest and problem is None:
                problem = DamagedFileError(
                    str(path),
                    f"cut short inside record {records + 1:,}",
                    offset=size - rest,
                    records=records,
                    remedy="download it again",
                )
    first_date, last_date = _dates(path, header, first_ns, last_ns)
    return DBNFileInfo(
        path=path,
        schema=header.schema or "",
        dataset=header.dataset,
        symbols=header.symbols,
        version=header.version,
        size=size,
        first_date=first_date,
        last_date=last_date,
        records=records,
        first_ns=first_ns,
        last_ns=last_ns,
        compressed=compressed,
        synthetic=synthetic,
        mappings=tuple(dict.fromkeys(header.mappings + _symbology(path, header))),
        header_ids=frozenset(mapping.instrument_id for mapping in header.mappings),
        problem=problem,
    )


def _received(record: object) -> int:
    ts_recv, ts_event = int(record["ts_recv"]), int(record["ts_event"])  # type: ignore[index]
    found = ts_event if ts_recv >> 63 else ts_recv
    return 0 if found >> 63 else found


def _dates(path: Path, header: Header, first_ns: int | None, last_ns: int | None) -> tuple[date, date]:
    # The header bounds the query; the name gives the days where the header covers more than this part.
    if match := _NAME.fullmatch(path.name):
        try:
            first = date.fromisoformat(match[1])
            return first, date.fromisoformat(match[2] or match[1])
        except ValueError:
            pass
    first = date_of(first_ns if first_ns is not None else header.start_ns)
    if last_ns is not None:
        return first, date_of(last_ns)
    return first, max(first, date_of(header.end_ns - 1) if header.end_ns else first)


def _symbology(path: Path, header: Header) -> tuple[Mapping, ...]:
    for folder in (path.parent, path.parent.parent):
        try:
            found = read_symbology(folder / "symbology.json")
        except DamagedFileError:
            if not header.mappings:
                raise
            return ()  # the header says all that it could say
        if found:
            return found
    return ()


def _is_synthetic(folder: Path, root: Path, known: dict[Path, bool]) -> bool:
    # metadata.json of the folder or of one above it, up to the data folder, marks what lies below.
    if folder not in known:
        above = folder != root and _is_synthetic(folder.parent, root, known)
        known[folder] = above or _marked(folder / "metadata.json")
    return known[folder]


def _marked(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        document = orjson.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        # It may say that all of this is synthetic, which must not get lost.
        raise DamagedFileError(str(path), f"cannot be read ({error})", remedy="mend it, or delete it") from None
    return isinstance(document, dict) and document.get("synthetic") is True


def may_hold(path: Path, chosen: Collection[date]) -> bool:
    """Tell by its name whether a file that cannot be read may hold one of some days."""
    match = _NAME.fullmatch(path.name)
    try:
        first, last = (date.fromisoformat(text) for text in (match[1], match[2] or match[1])) if match else (None, None)
    except ValueError:
        return True
    return first is None or last is None or any(first <= day <= last for day in chosen)


def days(infos: list[DBNFileInfo]) -> list[date]:
    """List the UTC days that the files cover, in order."""
    found: set[date] = set()
    for info in infos:
        count = (info.last_date - info.first_date).days + 1
        found.update(info.first_date + timedelta(days=shift) for shift in range(count))
    return sorted(found)


def overlaps(infos: list[DBNFileInfo]) -> list[tuple[DBNFileInfo, DBNFileInfo]]:
    """Find files that hold what an earlier one (in catalog order) already holds.

    Two files overlap where they have one schema, share an instrument (or name none) and their records'
    times intersect; numbered parts and per-symbol splits do not. Returns pairs (kept, left out).
    """
    pairs: list[tuple[DBNFileInfo, DBNFileInfo]] = []
    kept: list[DBNFileInfo] = []
    for info in infos:
        rival = next((one for one in kept if _overlap(one, info)), None)
        if rival is None:
            kept.append(info)
        else:
            pairs.append((rival, info))
    return pairs


def _overlap(one: DBNFileInfo, other: DBNFileInfo) -> bool:
    if one.schema != other.schema or one.dataset != other.dataset:
        return False
    if one.last_date < other.first_date or other.last_date < one.first_date or 0 in (one.records, other.records):
        return False
    part, other_part = (_PART.fullmatch(info.path.name) for info in (one, other))
    if part and other_part and part[1] == other_part[1] and part[2] != other_part[2]:
        return False
    spans = [(info.first_ns, info.last_ns) for info in (one, other)]
    if spans[0] != spans[1] and None not in spans[0] + spans[1]:
        starts, ends = zip(*spans, strict=True)
        if max(starts) >= min(ends):  # one packet may be shared by the end of one part and the start of the next
            return False
    symbols = set(one.symbols) & set(other.symbols)
    return bool(symbols) or bool(one.header_ids & other.header_ids) or not one.header_ids or not other.header_ids
