"""What tapes are called: ``MARKET_DATA-2025-12-16.jsonl.zst``, and ``….2.jsonl.zst`` where the stream was made anew."""

import re
from datetime import date
from pathlib import Path
from typing import NamedTuple

from spyctl.market.subjects import prefix_of

ENDINGS = (".jsonl.zst", ".jsonl", ".ndjson", ".ndjson.zst")
_NAME = re.compile(r"([A-Za-z0-9_-]+)-(\d{4}-\d{2}-\d{2})(?:\.(\d{1,6}))?\.jsonl\.zst")


class TapeName(NamedTuple):
    """The parts of a name that ``record`` gives: stream, trading day, and the number of the part, from 1."""

    stream: str
    day: date
    part: int

    @property
    def text(self) -> str:
        """The name of the file."""
        part = f".{self.part}" if self.part > 1 else ""
        return f"{self.stream}-{self.day.isoformat()}{part}.jsonl.zst"

    @property
    def prefix(self) -> str:
        """The prefix under which the stream holds its events."""
        return prefix_of(self.stream)

    @classmethod
    def of(cls, path: Path) -> "TapeName | None":
        """Read a name; ``None`` for a file that is called otherwise."""
        match = _NAME.fullmatch(path.name)
        if match is None:
            return None
        try:
            return cls(match[1], date.fromisoformat(match[2]), int(match[3] or 1))
        except ValueError:
            return None


def is_tape_name(name: str) -> bool:
    """Tell whether a file is called as tapes are, those of others included."""
    return name.endswith(ENDINGS)
