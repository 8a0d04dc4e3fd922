"""What a tape holds, counted as it is written or read, and the ``.json`` beside it that says so.

The digest is over the payloads in their order, each followed by a newline, like that of a run's summary.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import orjson

from spyctl.errors import DamagedFileError
from spyctl.market.digest import ALGORITHM, new_digest
from spyctl.market.lines import StreamMessage
from spyctl.timing.instants import MAX_INSTANT, is_instant, utc_text

FORMAT = "spyctl tape 1"
_AT = len(b'{"ts_event_ns":')  # where the event time of a payload is


class Tally:
    """Counts of some messages; times are Unix ns, a sequence is 0 before there is one."""

    def __init__(self, algorithm: str = ALGORITHM) -> None:
        self.events = self.size = 0
        self.first_seq = self.last_seq = 0
        self.first_event_ns, self.last_event_ns = MAX_INSTANT, 0
        self.digest = new_digest(algorithm)

    def add(self, messages: Sequence[StreamMessage]) -> None:
        """Count messages in their order."""
        if not messages:
            return
        payloads = [message.payload for message in messages]
        self.first_seq = self.first_seq or messages[0].seq
        self.last_seq = messages[-1].seq
        self.events += len(payloads)
        self.size += sum(map(len, payloads))
        self.digest.update(b"\n".join(payloads) + b"\n")
        times = [int(text) for payload in payloads if (text := payload[_AT : _AT + 19]).isdigit()]
        if times:
            self.first_event_ns = min(self.first_event_ns, min(times))
            self.last_event_ns = max(self.last_event_ns, max(times))

    def document(self) -> dict[str, Any]:
        """Return the counts with the keys of the sidecar."""
        timed = self.last_event_ns > 0
        return {
            "events": self.events,
            "bytes": self.size,
            "first_seq": self.first_seq or None,
            "last_seq": self.last_seq or None,
            **_instant("first_event", self.first_event_ns if timed else None),
            **_instant("last_event", self.last_event_ns if timed else None),
            "digest": self.digest.hexdigest(),
        }


@dataclass(frozen=True, slots=True)
class Missing:
    """Messages of the stream that a tape lacks, both ends included; ``reason`` says why."""

    first_seq: int
    last_seq: int
    reason: str

    @property
    def text(self) -> str:
        """Say which they are."""
        return f"sequences {self.first_seq:,} to {self.last_seq:,} are missing: {self.reason}"

    def document(self) -> dict[str, Any]:
        """Return it with the keys of the sidecar."""
        return {"first_seq": self.first_seq, "last_seq": self.last_seq, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a tape comes from: the stream, when that was made, and the subjects that were recorded."""

    stream: str
    born: str
    prefix: str
    subjects: tuple[str, ...]


class Contents:
    """The messages of a tape, counted; all of them, and by subject; ``algorithm`` is that of their digests."""

    def __init__(self, algorithm: str = ALGORITHM) -> None:
        self.algorithm = algorithm
        self.all = Tally(algorithm)
        self.by_subject: dict[str, Tally] = {}
        self.first_stored_ns = self.last_stored_ns = 0
        self.undecoded = 0

    def add(self, messages: Sequence[StreamMessage], undecoded: int = 0) -> None:
        """Count messages in their order; ``undecoded`` of them hold no event."""
        if not messages:
            return
        self.all.add(messages)
        self.undecoded += undecoded
        self.first_stored_ns = self.first_stored_ns or messages[0].stored_ns
        self.last_stored_ns = max(self.last_stored_ns, messages[-1].stored_ns)
        by_subject: dict[str, list[StreamMessage]] = {}
        for message in messages:
            by_subject.setdefault(message.subject, []).append(message)
        for subject, of_subject in by_subject.items():
            self.by_subject.setdefault(subject, Tally(self.algorithm)).add(of_subject)


@dataclass(slots=True)
class Sidecar:
    """What stands in the ``.json`` beside a tape.

    ``read_to_seq`` is the sequence of the stream up to which everything wanted is on this tape or an earlier one;
    ``whole`` says that the recording of its day ended in order.
    """

    origin: Origin
    day: date
    read_to_seq: int = 0
    gaps: list[Missing] = field(default_factory=list)
    whole: bool = False

    def document(self, contents: Contents, size: int) -> dict[str, Any]:
        """Return it as data, with what the tape holds in a file of ``size`` bytes."""
        origin, stored = self.origin, contents.last_stored_ns
        return {
            "format": FORMAT,
            "stream": origin.stream,
            "stream_created": origin.born,
            "prefix": origin.prefix,
            "subjects": list(origin.subjects),
            "trading_day": self.day.isoformat(),
            **contents.all.document(),
            "digest_algorithm": contents.algorithm,
            "read_to_seq": self.read_to_seq,
            **_instant("first_stored", contents.first_stored_ns if stored else None),
            **_instant("last_stored", stored or None),
            "undecoded": contents.undecoded,
            "gaps": [gap.document() for gap in self.gaps],
            "by_subject": {subject: tally.document() for subject, tally in sorted(contents.by_subject.items())},
            "size": size,
            "complete": self.whole,
        }


def sidecar_path(tape: Path) -> Path:
    """Return where the ``.json`` of a tape is."""
    return tape.with_name(f"{tape.name.partition('.jsonl')[0]}.json")


def read_sidecar(tape: Path) -> tuple[Sidecar, dict[str, Any]] | None:
    """Read the ``.json`` beside a tape, and all that stands in it; ``None`` where there is none.

    Raises :class:`DamagedFileError` where it says nothing sensible.
    """
    path = sidecar_path(tape)
    try:
        document = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DamagedFileError(str(path), f"cannot be read ({error})", remedy="move it away") from None
    try:
        if document["format"] != FORMAT:
            raise ValueError(f"its format is {document['format']!r}")
        origin = Origin(
            str(document["stream"]),
            str(document["stream_created"]),
            str(document["prefix"]),
            tuple(map(str, document["subjects"])),
        )
        gaps = [Missing(int(gap["first_seq"]), int(gap["last_seq"]), str(gap["reason"])) for gap in document["gaps"]]
        day, read_to = date.fromisoformat(document["trading_day"]), int(document["read_to_seq"])
        return Sidecar(origin, day, read_to, gaps, document["complete"] is True), document
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        why = f"is not of a tape ({type(error).__name__}: {error})"
        raise DamagedFileError(str(path), why, remedy="move it away") from None


def write_whole(path: Path, data: bytes) -> None:
    """Put a file in place so that it is there whole, or the one before; on disk when this returns."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Have the names of a folder's files on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _instant(name: str, ns: int | None) -> dict[str, Any]:
    return {f"{name}_ns": ns, f"{name}_utc": utc_text(ns) if is_instant(ns) else None}
