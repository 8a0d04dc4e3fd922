"""Files of a data folder that hold the same: each record is used once."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from spyctl.dbn.catalog import DBNFileInfo, Shadow
from spyctl.errors import DamagedFileError
from spyctl.timing.instants import DAY

_PART = re.compile(r"(.+)\.(\d{4,})\.dbn(?:\.zst)?", re.ASCII)
_SPLIT = re.compile(r"(.+?-\d{8}(?:-\d{8})?\.(?:trades|mbp-10))\.(.+)\.dbn(?:\.zst)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Double:
    """Two files hold the same: ``kept`` is used for it, ``other`` ``wholly`` left out or for the rest alone."""

    kept: DBNFileInfo
    other: DBNFileInfo
    wholly: bool

    def text(self, root: Path) -> str:
        """Say so, with paths below a folder."""
        paths = (self.kept.path, self.other.path)
        kept, other = (path.relative_to(root) if path.is_relative_to(root) else path for path in paths)
        if self.wholly:
            return f"{other} covers the instruments and times of {kept}: left out"
        return f"{other} covers some instruments and times of {kept}: there the latter is played alone"


def without_doubles(infos: Sequence[DBNFileInfo]) -> tuple[list[DBNFileInfo], list[Double]]:
    """Leave out what an earlier file (in catalog order) already holds.

    Two files hold the same where they are of one schema and origin, share an instrument on a day that both hold, and
    their records' times intersect; numbered parts and per-symbol splits of a folder do not. Where a header names no
    instruments, records tell. A file that is damaged, or a live capture, yields to one that is not. Returns the files
    that are left, some with :attr:`DBNFileInfo.shadows`, and what was found.
    """
    found: list[Double] = []
    shadows: dict[int, list[Shadow]] = {}
    running: dict[tuple[str, str, bool], list[tuple[DBNFileInfo, tuple[Path, str] | None]]] = {}
    left_out: set[int] = set()
    for info in sorted(infos, key=lambda one: (one.problem is not None, one.capture)):
        kept = running.setdefault((info.schema, info.dataset, info.synthetic), [])
        piece = _piece_of(info)
        for rival, piece_of_rival in kept:
            if piece is not None and piece == piece_of_rival:
                continue  # side by side in one split
            if (shadow := _shadow(rival, info)) is None:
                continue
            wholly = shadow.ids is None and shadow.first_ns <= info.span[0] and info.span[1] <= shadow.last_ns
            found.append(Double(rival, info, wholly))
            if wholly:
                left_out.add(id(info))
                break
            shadows.setdefault(id(info), []).append(shadow)
        if id(info) not in left_out:
            kept.append((info, piece))
    rest = [
        replace(info, shadows=tuple(shadows[id(info)])) if id(info) in shadows else info
        for info in infos
        if id(info) not in left_out
    ]
    return rest, found


def _shadow(one: DBNFileInfo, other: DBNFileInfo) -> Shadow | None:
    # What the first file takes from the second one.
    if one.last_date < other.first_date or other.last_date < one.first_date or 0 in (one.records, other.records):
        return None
    first_ns, last_ns = max(one.span[0], other.span[0]), min(one.span[1], other.span[1])
    if one.span != other.span and first_ns >= last_ns:
        return None  # one packet may be shared by the end of one part and the start of the next
    days = first_ns // DAY, last_ns // DAY
    named, other_named = one.naming.ids_on(*days), other.naming.ids_on(*days)
    ids, other_ids = named or _met(one), other_named or _met(other)
    if ids.isdisjoint(other_ids):
        return None
    everything = ids >= other_ids or not (named or other_named)
    return Shadow(*one.span, None if everything else ids & other_ids)


def _piece_of(info: DBNFileInfo) -> tuple[Path, str] | None:
    # The split that a file is a piece of, by number or by symbol; None for any other file.
    if match := _PART.fullmatch(info.path.name):
        return info.path.parent, match[1]
    match = _SPLIT.fullmatch(info.path.name)
    if match is None:
        return None
    symbols = info.symbols if match[2] in info.symbols else [mapping.symbol for mapping in info.naming.own]
    return (info.path.parent, match[1] + ".*") if not symbols or match[2] in symbols else None


def _met(info: DBNFileInfo) -> frozenset[int]:
    # The instruments of a file that nothing names.
    try:
        return info.open().instruments()
    except DamagedFileError:
        return frozenset()
