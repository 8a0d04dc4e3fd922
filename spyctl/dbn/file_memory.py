"""What an earlier reading found out about files, remembered until their size or time changes."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from platformdirs.unix import Unix

Stamp = tuple[int, int]  # size in bytes, time of the last change in Unix ns


@dataclass(slots=True)
class FileMemory:
    """Values by file and stamp, in a JSON file. A mere saving of time: what cannot be kept is found out again."""

    path: Path
    _entries: dict[str, list[Any]] | None = field(default=None)

    def get(self, file: Path, stamp: Stamp) -> Any:
        """Return what is known of a file, ``None`` where that is nothing or the file has changed."""
        entry = self._known().get(str(file.absolute()))
        return entry[2] if isinstance(entry, list) and entry[:2] == list(stamp) and len(entry) == 3 else None

    def put(self, found: Mapping[Path, tuple[Stamp, Any]]) -> None:
        """Remember what was found out about some files."""
        if not found:
            return
        self._entries = None  # others may have added to it
        entries = self._known()
        entries.update({str(file.absolute()): [*stamp, value] for file, (stamp, value) in found.items()})
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            part = self.path.with_suffix(f".{os.getpid()}")
            part.write_bytes(orjson.dumps(entries))
            part.replace(self.path)
        except OSError:
            pass

    def _known(self) -> dict[str, list[Any]]:
        if self._entries is None:
            try:
                document = orjson.loads(self.path.read_bytes())
            except (OSError, ValueError):
                document = {}
            self._entries = document if isinstance(document, dict) else {}
        return self._entries


def open_memory(name: str) -> FileMemory:
    """Open a memory of that name in the user's cache folder."""
    return FileMemory(Unix("spyctl").user_cache_path / f"{name}.json")
