"""The job files beside the data: ``manifest.json``, ``condition.json``, ``metadata.json``, ``symbology.json``.

All are optional. Forms: https://databento.com/docs/api-reference-historical/batch.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import orjson

from spyctl.dbn.reader import is_dbn_name
from spyctl.errors import DamagedFileError
from spyctl.market.symbology import Mapping, read_symbology

AVAILABLE = "available"
_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class Listed:
    """A file as its manifest lists it; ``sha256`` is of the file as it was downloaded, ``None`` where not given."""

    name: str
    size: int
    sha256: str | None

    def cut_short(self, path: Path, size: int) -> DamagedFileError:
        """Return the error for a file that is shorter than it should be."""
        reason = f"cut short: manifest.json says {self.size:,} bytes, it ends"
        return DamagedFileError(str(path), reason, offset=size, remedy="download it again")


@dataclass(frozen=True, slots=True)
class ManifestEntries:
    """What manifests say of a file, and of the archive that it was unpacked from; ``None`` where none lists it."""

    file: Listed | None = None
    archive: Listed | None = None


@dataclass(slots=True)
class Sidecars:
    """The job files of a data folder: each folder's, or those of the nearest folder above it.

    What cannot be read is noted in ``unreadable``, once.
    """

    root: Path
    unreadable: dict[Path, DamagedFileError] = field(default_factory=dict)
    _manifests: dict[Path, dict[str, Listed]] = field(default_factory=dict)
    _conditions: dict[Path, dict[date, str]] = field(default_factory=dict)
    _synthetic: dict[Path, bool] = field(default_factory=dict)
    _symbologies: dict[Path, tuple[Mapping, ...]] = field(default_factory=dict)

    def listed(self, path: Path) -> Listed | None:
        """Return what a manifest says of a file, ``None`` where none lists it."""
        for folder in self._upwards(path.parent):
            if entry := self.manifest(folder).get(path.name):
                return entry
        return None

    def manifest(self, folder: Path) -> dict[str, Listed]:
        """Return what the ``manifest.json`` of a folder lists, by name; nothing where there is none."""
        if folder not in self._manifests:
            self._manifests[folder] = self._read(folder / "manifest.json", read_manifest, {})
        return self._manifests[folder]

    def missing(self, present: Collection[str]) -> list[Path]:
        """List the DBN files that manifests list and that are not among those ``present``, packed or unpacked."""
        absent = []
        for folder, manifest in self._manifests.items():
            absent += [
                folder / name
                for name in manifest
                if is_dbn_name(name) and name not in present and name.removesuffix(".zst") not in present
            ]
        return sorted(absent)

    def conditions(self, folder: Path, first: date, last: date) -> dict[date, str]:
        """Return the days of a span that the vendor calls anything but available, with its word."""
        words: dict[date, str] = {}
        for above in self._upwards(folder):
            if above not in self._conditions:
                self._conditions[above] = self._read(above / "condition.json", read_conditions, {})
            words = {day: word for day, word in self._conditions[above].items() if first <= day <= last} | words
        return {day: word for day, word in words.items() if word != AVAILABLE}

    def symbology(self, folder: Path) -> tuple[Mapping, ...]:
        """Return the mappings of the nearest ``symbology.json`` that has any."""
        for above in self._upwards(folder):
            if above not in self._symbologies:
                self._symbologies[above] = self._read(above / "symbology.json", read_symbology, ())
            if mappings := self._symbologies[above]:
                return mappings
        return ()

    def synthetic(self, folder: Path) -> bool:
        """Tell whether ``metadata.json`` marks a folder, or one above it, as made up.

        Raises :class:`DamagedFileError` where that cannot be told: the mark must not get lost.
        """
        if folder not in self._synthetic:
            above = folder != self.root and self.synthetic(folder.parent)
            self._synthetic[folder] = above or is_synthetic(folder)
        return self._synthetic[folder]

    def _upwards(self, folder: Path) -> Iterator[Path]:
        yield folder
        while folder != self.root and folder.is_relative_to(self.root):
            folder = folder.parent
            yield folder

    def _read(self, path: Path, read: Callable[[Path], _Read], default: _Read) -> _Read:
        try:
            return read(path)
        except DamagedFileError as error:
            self.unreadable.setdefault(path, error)
            return default


def _load(path: Path, parse: Callable[[Any], _Read], default: _Read) -> _Read:
    if not path.is_file():
        return default
    try:
        return parse(orjson.loads(path.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFileError(
            str(path), f"cannot be read ({error})", remedy="download it again, or delete it"
        ) from None


def read_manifest(path: Path) -> dict[str, Listed]:
    """Read a ``manifest.json``, by file name; empty where there is none. Raises :class:`DamagedFileError`."""
    return _load(path, _manifest, {})


def read_conditions(path: Path) -> dict[date, str]:
    """Read a ``condition.json``, by UTC day; empty where there is none. Raises :class:`DamagedFileError`."""
    return _load(path, _conditions, {})


def is_synthetic(folder: Path) -> bool:
    """Tell whether the ``metadata.json`` of a folder marks it as made up. Raises :class:`DamagedFileError`."""
    return _load(folder / "metadata.json", _marked, default=False)


def _manifest(document: Any) -> dict[str, Listed]:
    entries = {}
    for entry in document["files"]:
        kind, _, digest = str(entry.get("hash", "")).partition(":")
        sha256 = digest.lower() if kind == "sha256" and len(digest) == 64 else None
        entries[str(entry["filename"])] = Listed(str(entry["filename"]), int(entry["size"]), sha256)
    return entries


def _conditions(document: Any) -> dict[date, str]:
    return {date.fromisoformat(entry["date"]): str(entry["condition"]) for entry in document}


def _marked(document: Any) -> bool:
    return isinstance(document, dict) and document.get("synthetic") is True
