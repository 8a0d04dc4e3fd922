"""Files of a data folder that hold the same: each record is used once."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from spyctl.sources.dbn_catalog import DBNFileInfo, Shadow

_PART = re.compile(r"(.+)\.(\d{4,})\.dbn(?:\.zst)?", re.ASCII)


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
            return f"{other} holds what {kept} holds: left out"
        return f"{other} holds some of what {kept} holds: that is played once"


def without_doubles(infos: Sequence[DBNFileInfo]) -> tuple[list[DBNFileInfo], list[Double]]:
    """Leave out what an earlier file (in catalog order) already holds.

    Two files hold the same where they have one schema, share an instrument (or name none) and their records' times
    intersect; numbered parts and per-symbol splits do not. A file that is damaged, or a live capture, yields to one
    that is not. Returns the files that are left, some with :attr:`DBNFileInfo.shadows`, and what was found.
    """
    found: list[Double] = []
    shadows: dict[int, list[Shadow]] = {}
    running: dict[tuple[str, str], list[DBNFileInfo]] = {}
    left_out: set[int] = set()
    for info in sorted(infos, key=lambda one: (one.problem is not None, one.capture)):
        kept = running.setdefault((info.schema, info.dataset), [])
        for rival in kept:
            if (shadow := _shadow(rival, info)) is None:
                continue
            wholly = shadow.ids is None and shadow.first_ns <= info.span[0] and info.span[1] <= shadow.last_ns
            found.append(Double(rival, info, wholly))
            if wholly:
                left_out.add(id(info))
                break
            shadows.setdefault(id(info), []).append(shadow)
        if id(info) not in left_out:
            kept.append(info)
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
    part, other_part = (_PART.fullmatch(info.path.name) for info in (one, other))
    if part and other_part and part[1] == other_part[1] and part[2] != other_part[2]:
        return None
    if one.span != other.span and max(one.span[0], other.span[0]) >= min(one.span[1], other.span[1]):
        return None  # one packet may be shared by the end of one part and the start of the next
    shared = one.header_ids & other.header_ids
    if not shared and one.header_ids and other.header_ids and not set(one.symbols) & set(other.symbols):
        return None
    everything = not one.header_ids or not other.header_ids or one.header_ids >= other.header_ids
    return Shadow(*one.span, None if everything or not shared else shared)
