"""What a data folder holds: one :class:`DBNFileInfo` a file, in catalog order (schema, date, name)."""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from spyctl.dbn.file_info import DBNFileInfo
from spyctl.dbn.file_memory import open_memory
from spyctl.dbn.inspect import Inspector
from spyctl.dbn.instruments import DefinitionFile
from spyctl.dbn.reader import is_dbn_name
from spyctl.dbn.sidecars import Sidecars
from spyctl.dbn.zstd import walk_frames
from spyctl.errors import DamagedFileError, NoDataFolderError, OtherSchemaError
from spyctl.market.columns import SCHEMAS

# Compressed files are unpacked to count their records only while they are small, and so many bytes in all.
SMALL = 4_000_000
_UNPACK_IN_ALL = 8_000_000


@dataclass(frozen=True, slots=True)
class Catalog:
    """What a data folder holds: ``files`` in catalog order, and what is not among them.

    ``unreadable`` cannot be read at all, ``passed_over`` are files with the reason why they are not replayed,
    ``missing`` are listed in a manifest and not there, ``unreadable_sidecars`` are job files that cannot be read.
    ``definitions`` are not played either: they name instruments.
    """

    root: Path
    files: list[DBNFileInfo] = field(default_factory=list)
    unreadable: list[DamagedFileError] = field(default_factory=list)
    passed_over: list[tuple[Path, str]] = field(default_factory=list)
    missing: list[Path] = field(default_factory=list)
    unreadable_sidecars: list[DamagedFileError] = field(default_factory=list)
    definitions: list[DefinitionFile] = field(default_factory=list)

    @property
    def unplayable(self) -> list[str]:
        """Say of each file that cannot be played why."""
        reasons = [f"{path.name} ({reason})" for path, reason in self.passed_over]
        reasons += [f"{Path(error.path).name} ({error.reason})" for error in self.unreadable_sidecars]
        return reasons + [f"{path.name} (listed in manifest.json, but missing)" for path in self.missing]


def scan(root: Path) -> Catalog:
    """List the trades and mbp-10 files below a folder, and all other files there that are, or should be, DBN.

    Only headers and both ends are read, small compressed files whole.
    Raises :class:`NoDataFolderError` where there is no such folder, or nothing in it that has to do with DBN.
    """
    if not root.is_dir():
        raise NoDataFolderError(
            f"{root} is a file, not a data folder" if root.exists() else f"there is no data folder {root}"
        )
    sidecars, memory = Sidecars(root), open_memory("extents")
    catalog, inspector = Catalog(root), Inspector(sidecars, memory)
    sizes = _find(catalog, sidecars)
    counted = _worth_counting(sizes)
    for path in sizes:
        if path.suffix == ".zst" and path.with_suffix("") in sizes:
            _choose(path, catalog, inspector)
            continue
        try:
            catalog.files.extend(inspector.inspect(path, count=path in counted))
        except OtherSchemaError as error:
            catalog.passed_over.append((path, error.reason))
        except DamagedFileError as error:
            catalog.unreadable.append(error)
    memory.put(inspector.found)
    catalog.definitions.extend(inspector.definitions.files)
    catalog.unreadable_sidecars.extend(sidecars.unreadable.values())
    catalog.missing.extend(sidecars.missing({path.name for path in sizes}))
    if not (catalog.files or catalog.unreadable or catalog.passed_over or catalog.missing):
        raise NoDataFolderError(f"no DBN files in {root}")
    catalog.files.sort(key=lambda info: (SCHEMAS.index(info.schema), info.first_date, info.path.name))
    return catalog


def _choose(archive: Path, catalog: Catalog, inspector: Inspector) -> None:
    # Of an archive and the file unpacked from it: the unpacked one, unless it holds less than the archive does.
    unpacked = archive.with_suffix("")
    infos = [info for info in catalog.files if info.path == unpacked]
    unreadable = any(error.path == str(unpacked) for error in catalog.unreadable)
    lacking = any(info.problem is not None or not info.records for info in infos)
    content = walk_frames(archive).content if infos and not lacking else None
    if not (lacking or unreadable or (content is not None and content > infos[0].size)):
        catalog.passed_over.append((archive, f"its unpacked copy {unpacked.name} is used"))
        return
    try:
        packed = inspector.inspect(archive, count=True)
    except DamagedFileError:
        packed = []
    if _count(packed) <= _count(infos) and not unreadable:
        catalog.passed_over.append((archive, f"its unpacked copy {unpacked.name} is used, which holds no less"))
        return
    if not packed:
        catalog.passed_over.append((archive, f"damaged, like its unpacked copy {unpacked.name}"))
        return
    catalog.files[:] = [info for info in catalog.files if info.path != unpacked] + packed
    catalog.unreadable[:] = [error for error in catalog.unreadable if error.path != str(unpacked)]
    why = "damaged" if unreadable or any(info.problem is not None for info in infos) else "cut short"
    catalog.passed_over.append((unpacked, f"{why}: its archive {archive.name} is used"))


def _count(infos: Iterable[DBNFileInfo]) -> int:
    return sum(info.records or 0 for info in infos)


def _find(catalog: Catalog, sidecars: Sidecars) -> dict[Path, int]:
    # The files named as DBN files are, with their sizes, by path; those that only look alike are passed over.
    sizes: dict[Path, int] = {}
    for folder, names in _folders(catalog):
        if "manifest.json" in names:
            sidecars.manifest(folder)
        for name in names:
            path = folder / name
            try:
                str(path).encode()
            except UnicodeEncodeError:
                readable = Path(os.fsencode(path).decode(errors="replace"))
                catalog.passed_over.append((readable, "its name is not UTF-8: rename it"))
                continue
            if is_dbn_name(name):
                _measure(path, sizes, catalog)
            elif reason := _why_not_read(name):
                catalog.passed_over.append((path, reason))
    return dict(sorted(sizes.items()))


def _folders(catalog: Catalog) -> Iterator[tuple[Path, list[str]]]:
    # Each folder with the names of its files. Links are followed, but once; hidden folders are not entered.
    seen: set[str] = set()

    def note(error: OSError) -> None:
        catalog.unreadable.append(_closed(error))

    for folder, folders, names in os.walk(catalog.root, onerror=note, followlinks=True):
        seen.add(os.path.realpath(folder))
        below = {os.path.realpath(Path(folder, name)): name for name in sorted(folders, reverse=True) if name[0] != "."}
        folders[:] = sorted(name for real, name in below.items() if real not in seen)
        seen.update(below)
        yield Path(folder), names


def _measure(path: Path, sizes: dict[Path, int], catalog: Catalog) -> None:
    try:
        status = path.stat()
    except OSError as error:
        catalog.unreadable.append(_closed(error))
        return
    if stat.S_ISREG(status.st_mode):
        sizes[path] = status.st_size
    else:
        catalog.passed_over.append((path, "not an ordinary file"))


_NOT_READ = {
    ".zip": "a packed job: unpack it",
    ".csv": "CSV: request DBN instead",
    ".csv.zst": "CSV: request DBN instead",
    ".json.zst": "JSON: request DBN instead",
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


def _why_not_read(name: str) -> str | None:
    # Why a file that may hold data is not read; None for one that has nothing to do with it.
    lower = name.lower()
    for ending, reason in _NOT_READ.items():
        if lower.endswith(ending):
            return reason
    named_by_schema = lower.endswith(".zst") and any(f".{schema}." in lower for schema in SCHEMAS)
    return _NO_END if ".dbn" in lower or named_by_schema else None


def _worth_counting(sizes: Mapping[Path, int]) -> set[Path]:
    counted, left = set(), _UNPACK_IN_ALL
    for path in sorted((path for path in sizes if path.suffix == ".zst"), key=lambda path: sizes[path]):
        left -= sizes[path]
        if left < 0 or sizes[path] > SMALL:
            break
        counted.add(path)
    return counted


def _closed(error: OSError) -> DamagedFileError:
    return DamagedFileError(
        str(error.filename), f"cannot be looked into ({error.strerror})", remedy="make it readable for yourself"
    )
