"""Files of a data folder that hold the same records: each record is read once."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from spyctl.dbn.file_info import DBNFileInfo
from spyctl.dbn.places import find_places, instrument_ids
from spyctl.dbn.sort_times import Exclusion, effective_recv
from spyctl.errors import DamagedFileError
from spyctl.timing.instants import DAY

_PART = re.compile(r"(.+)\.(\d{4,})\.dbn(?:\.zst)?", re.ASCII)
_SPLIT = re.compile(r"(.+?-\d{8}(?:-\d{8})?\.(?:trades|mbp-10))\.(.+)\.dbn(?:\.zst)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two files hold the same records: those of ``kept`` are used, ``other`` is left out ``wholly`` or in part."""

    kept: DBNFileInfo
    other: DBNFileInfo
    wholly: bool

    def text(self, root: Path) -> str:
        """Say so, with paths relative to a folder."""
        paths = (self.kept.path, self.other.path)
        kept, other = (path.relative_to(root) if path.is_relative_to(root) else path for path in paths)
        if self.wholly:
            return f"{other} is left out: {kept} holds all its instruments and times"
        return f"{other} is used in part: {kept} holds some of its instruments and times, and is used there"


def resolve_overlaps(infos: Sequence[DBNFileInfo]) -> tuple[list[DBNFileInfo], list[Overlap]]:
    """Leave out what an earlier file (in catalog order) already holds.

    Two files overlap where they are of one schema and origin, share an instrument on a day that both hold, and
    their records' times intersect; a file of one instant at the edge of another does where its records are the same;
    numbered parts and per-symbol splits of a folder do not. Where a header names no instruments, records tell.
    A file that is damaged, or a live capture, yields to one that is not. Returns the files
    that are left, some with :attr:`DBNFileInfo.exclusions`, and the overlaps.
    """
    overlaps: list[Overlap] = []
    exclusions: dict[tuple[Path, str], list[Exclusion]] = {}
    rivals: dict[tuple[str, str, bool], dict[tuple[Path, str] | None, list[DBNFileInfo]]] = {}
    left_out: set[tuple[Path, str]] = set()
    for info in sorted(infos, key=lambda info: (info.problem is not None, info.capture)):
        kept = rivals.setdefault((info.schema, info.dataset, info.synthetic), {})
        piece = _piece_of(info)
        others = [infos for other, infos in kept.items() if piece is None or other != piece]  # not of the same split
        for rival in chain.from_iterable(others):
            if (exclusion := _exclusion(rival, info)) is None:
                continue
            first_ns, last_ns = info.span
            wholly = exclusion.ids is None and exclusion.first_ns <= first_ns and last_ns <= exclusion.last_ns
            overlaps.append(Overlap(rival, info, wholly))
            if wholly:
                left_out.add(info.key)
                break
            exclusions.setdefault(info.key, []).append(exclusion)
        if info.key not in left_out:
            kept.setdefault(piece, []).append(info)
    rest = [
        replace(info, exclusions=tuple(exclusions[info.key])) if info.key in exclusions else info
        for info in infos
        if info.key not in left_out
    ]
    return rest, overlaps


def _exclusion(kept: DBNFileInfo, other: DBNFileInfo) -> Exclusion | None:
    # What the first file takes from the second one.
    if kept.last_date < other.first_date or other.last_date < kept.first_date or 0 in (kept.records, other.records):
        return None
    first_ns, last_ns = max(kept.span[0], other.span[0]), min(kept.span[1], other.span[1])
    shared = first_ns, last_ns
    if first_ns > last_ns:
        return None
    if first_ns == last_ns and (shared not in (kept.span, other.span) or not _holds_again(kept, other, first_ns)):
        return None  # one packet may be shared by the end of one part and the start of the next
    days = first_ns // DAY, last_ns // DAY
    named, other_named = kept.naming.ids_on(*days), other.naming.ids_on(*days)
    ids, other_ids = named or _ids_in_records(kept), other_named or _ids_in_records(other)
    if ids.isdisjoint(other_ids):
        return None
    everything = ids >= other_ids or not (named or other_named)
    return Exclusion(*kept.span, None if everything else ids & other_ids)


def _holds_again(kept: DBNFileInfo, other: DBNFileInfo, ns: int) -> bool:
    # Whether a file of one instant holds what another one holds then. Inside the other it does; at its edge the records
    # tell, where they can be looked at.
    if ns not in kept.span or ns not in other.span:
        return True
    records, again = _records_at(kept, ns), _records_at(other, ns)
    return records is None or again is None or again <= records


def _records_at(info: DBNFileInfo, ns: int) -> frozenset[bytes] | None:
    try:
        if (places := find_places(info.file)) is not None:
            return frozenset(places.at(ns))
        if not info.capture:
            return None
        chunks = (records[effective_recv(records) == ns] for records in info.file.chunks())
        return frozenset(record.tobytes() for records in chunks for record in records)
    except DamagedFileError:
        return None


def _piece_of(info: DBNFileInfo) -> tuple[Path, str] | None:
    # The split that a file is a piece of, by number or by symbol; None for any other file.
    if match := _PART.fullmatch(info.path.name):
        return info.path.parent, match[1]
    match = _SPLIT.fullmatch(info.path.name)
    if match is None:
        return None
    symbols = info.symbols if match[2] in info.symbols else [mapping.symbol for mapping in info.naming.own]
    return (info.path.parent, match[1] + ".*") if not symbols or match[2] in symbols else None


def _ids_in_records(info: DBNFileInfo) -> frozenset[int]:
    # The instruments of a file that nothing names.
    try:
        return instrument_ids(info.file)
    except DamagedFileError:
        return frozenset()
