"""Which tapes a folder holds: known by the ``.json`` beside them, by reading where that is missing or out of date."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from spyctl.errors import DamagedFileError, PayloadError
from spyctl.market.digest import ALGORITHM, knows
from spyctl.market.sessions import trading_day_of
from spyctl.market.subjects import decode, stream_name
from spyctl.replay.tapes.contents import Contents, Missing, Origin, Sidecar, read_sidecar
from spyctl.replay.tapes.names import TapeName, is_tape_name
from spyctl.replay.tapes.reader import Advance, Findings, TapeReader, tell_nobody

SMALL = 8_000_000  # bytes of a tape without a .json that is read to be listed


@dataclass(frozen=True, slots=True)
class TapeInfo:
    """What is known of a tape. ``contents`` has the keys of a sidecar, and is empty where nobody has counted.

    ``growing`` says that its recording goes on, or was killed. ``gaps`` are messages that it lacks; ``problem`` says
    why it cannot be read to its end, or its ``.json`` cannot. ``name`` says more than its path.
    """

    path: Path
    size: int
    prefix: str
    day: date | None
    contents: dict[str, Any] = field(default_factory=dict)
    origin: Origin | None = None
    gaps: tuple[Missing, ...] = ()
    growing: bool = False
    problem: DamagedFileError | None = None
    name: str = ""

    @property
    def first_stored_ns(self) -> int:
        """When its first message was stored, 0 where nobody has counted."""
        return self.contents.get("first_stored_ns") or 0

    @property
    def stream(self) -> str:
        """The stream that it was recorded from, as far as its events tell."""
        return self.origin.stream if self.origin is not None else stream_name(self.prefix)

    def document(self) -> dict[str, Any]:
        """Return which tape it is, as ``--json`` writes it."""
        return {
            "path": str(self.path),
            "stream": self.stream,
            "prefix": self.prefix,
            "trading_day": self.day,
            "size": self.size,
            "growing": self.growing,
        }


@dataclass(frozen=True, slots=True)
class Survey:
    """All that is on a tape, counted, and what is wrong there."""

    prefix: str
    contents: Contents
    findings: Findings


class TapeCheck(NamedTuple):
    """What is wrong with a tape, and how many lines more than these ``problems`` name are left out."""

    problems: list[str]
    unnamed: int = 0


def survey(path: Path, *, exact: bool = False, algorithm: str = ALGORITHM, advance: Advance = tell_nobody) -> Survey:
    """Read a tape to its end; ``exact`` looks at every value of every event, ``algorithm`` is that of the digests."""
    reader, contents = TapeReader(path, advance=advance), Contents(algorithm)
    for lines in reader.lines():
        messages = lines.messages(reader.subjects)
        contents.add(messages)
        for message in messages if exact else ():
            try:
                decode(message.subject, message.payload)
            except PayloadError as error:
                reader.findings.reject("no_event", f"{path}: sequence {message.seq:,}: {error.message}")
    return Survey(reader.prefix, contents, reader.findings)


def find_tapes(root: Path) -> list[Path]:
    """List the files of a folder, and of the folders in it, that are called as tapes are."""
    paths = [Path(folder, name) for folder, _, names in os.walk(root) for name in names if is_tape_name(name)]
    return sorted(path for path in paths if path.is_file())


def scan_tapes(root: Path) -> list[TapeInfo]:
    """List the tapes of a folder, or the one that is named, in the order of their streams, days and sequences.

    Files of lines that name no subject of ours are none.
    """
    paths = [root] if root.is_file() else find_tapes(root)
    infos = [info for path in paths if (info := inspect_tape(path)) is not None]
    return sorted(
        infos, key=lambda info: (info.prefix, info.day or date.max, info.contents.get("first_stored_ns") or 0)
    )


def inspect_tape(path: Path, *, whole: bool = False, advance: Advance = tell_nobody) -> TapeInfo | None:
    """Look at one tape; ``None`` for a file that holds no line of ours.

    A large one whose contents nobody has written down is read only where the ``whole`` of it is to be known.
    """
    size, name = path.stat().st_size, TapeName.of(path)
    problem: DamagedFileError | None = None
    try:
        found = read_sidecar(path)
    except DamagedFileError as error:
        found, problem = None, error
    if found is not None and (found[1].get("size") == size or (size > SMALL and not whole)):
        return _known(path, size, found[0], found[1] if found[1].get("size") == size else {})
    if name is None and not _is_ours(path):
        return None
    if size > SMALL and not whole:
        prefix, day = (name.prefix, name.day) if name is not None else ("", None)
        return TapeInfo(path, size, prefix, day, problem=problem)
    counted = survey(path, advance=advance)
    contents = counted.contents
    if found is not None:
        sidecar = found[0]
    else:
        day = name.day if name is not None else trading_day_of(max(0, contents.first_stored_ns))
        sidecar = Sidecar(Origin(stream_name(counted.prefix), "", counted.prefix, ()), day, whole=True)
    info = _known(path, size, sidecar, sidecar.document(contents, size))
    return replace(info, problem=problem or next(iter(counted.findings.damage), None))


def _known(path: Path, size: int, sidecar: Sidecar, contents: dict[str, Any]) -> TapeInfo:
    gaps, growing = tuple(sidecar.gaps), not sidecar.whole
    return TapeInfo(path, size, sidecar.origin.prefix, sidecar.day, contents, sidecar.origin, gaps, growing)


def _is_ours(path: Path) -> bool:
    reader = TapeReader(path)
    return next(reader.lines(), None) is not None


def grouped(infos: Sequence[TapeInfo]) -> list[list[Path]]:
    """Return tapes in the order in which their messages were stored; those whose times overlap are in one group."""
    groups: list[list[Path]] = []
    last_ns = 0
    for info in sorted(infos, key=lambda info: (info.day or date.max, info.first_stored_ns)):
        if groups and info.first_stored_ns and info.first_stored_ns <= last_ns:
            groups[-1].append(info.path)
        else:
            groups.append([info.path])
        last_ns = max(last_ns, info.contents.get("last_stored_ns") or 0)
    return groups


def overlaps(infos: Sequence[TapeInfo]) -> dict[Path, Path]:
    """Return the tapes that hold messages which an earlier one of the same stream holds too, with that one."""
    found: dict[Path, Path] = {}
    for i, info in enumerate(infos):
        for before in infos[:i]:
            if before.prefix == info.prefix and _meet(before, info):
                found.setdefault(info.path, before.path)
    return found


def _meet(one: TapeInfo, other: TapeInfo) -> bool:
    # A stream that was made anew has the same sequences at other times.
    for first, last in (("first_seq", "last_seq"), ("first_stored_ns", "last_stored_ns")):
        firsts, lasts = ([info.contents.get(key) or 0 for info in (one, other)] for key in (first, last))
        if not all(firsts) or max(firsts) > min(lasts):
            return False
    return True


def check_tape(info: TapeInfo, advance: Advance = tell_nobody) -> TapeCheck:
    """Read a tape to its end and say what is wrong: damage, lines that are no events, missing ones, another digest."""
    named = info.contents.get("digest_algorithm", ALGORITHM)
    algorithm = named if knows(named) else ALGORITHM
    counted = survey(info.path, exact=True, algorithm=algorithm, advance=advance)
    problems = counted.findings.problems(str(info.path))
    problems += [f"{info.path}: {gap.text}" for gap in info.gaps]
    if info.problem is not None and info.problem.message not in problems:
        problems.append(info.problem.message)
    said = info.contents.get("digest")
    if said is not None and not knows(named):
        problems.append(f"{info.path}: its digest is by {named}, which this spyctl does not know")
    elif not problems and said is not None and said != counted.contents.all.digest.hexdigest():
        problems.append(f"{info.path}: its events are not those that the .json beside it counts")
    return TapeCheck(problems, counted.findings.unnamed)
