"""A recording as it goes on, and its summary."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.text import Text

from spyctl.cli.framework.streams import write, write_document
from spyctl.errors import path_text
from spyctl.market.lines import StreamMessage
from spyctl.replay.tapes.contents import Contents
from spyctl.replay.tapes.recording import Recording
from spyctl.summary import StopReason
from spyctl.terminal.boxes import screen
from spyctl.terminal.fields import Column, figure, grid, row
from spyctl.terminal.panels import note_rows
from spyctl.terminal.text import count, labelled, size_text
from spyctl.timing.instants import SECOND, duration_text
from spyctl.timing.notes import Note
from spyctl.timing.rolling import RollingSecond

_NOTES = 4


@dataclass(slots=True)
class Recorded:
    """Counts of what is on disk, by this process; ``behind`` messages are still to come. Times are monotonic ns."""

    events: int = 0
    size: int = 0
    by_subject: Counter[str] = field(default_factory=Counter)
    first_seq: int | None = None
    last_seq: int | None = None
    behind: int = 0
    second: RollingSecond = field(default_factory=RollingSecond)
    started_ns: int = field(default_factory=time.monotonic_ns)

    def add(self, messages: Sequence[StreamMessage]) -> None:
        """Count messages that are on disk now."""
        self.events += len(messages)
        self.size += sum(len(message.payload) for message in messages)
        self.by_subject.update(message.subject for message in messages)
        self.first_seq = self.first_seq or messages[0].seq
        self.last_seq = messages[-1].seq
        self.second.add(time.monotonic_ns(), len(messages))


class RecordView:
    """Draws a recording, or says it in a line: events, rate, how far behind, the tape and its size."""

    def __init__(self, recording: Recording, recorded: Recorded) -> None:
        self._recording = recording
        self._recorded = recorded

    def line(self) -> str:
        """Say it in one line."""
        recorded = self._recorded
        parts = [count("events", recorded.events), f"{self._rate():,}/s", f"{recorded.behind:,} behind"]
        if (tape := self._recording.tape) is not None:
            parts.append(f"{tape.path.name} {size_text(tape.size)}")
        if recorded.last_seq is not None:
            parts.append(f"seq {recorded.last_seq:,}")
        return "  ".join(parts)

    def draw(self, width: int, height: int, notes: Sequence[Note] = ()) -> Text:
        """Draw it in at most so many columns and lines."""
        recorded, recording = self._recorded, self._recording
        subjects = sorted(recorded.by_subject)
        tape = recording.tape
        head = [
            figure("recording", recording.origin.stream),
            figure("for", duration_text((time.monotonic_ns() - recorded.started_ns) // SECOND * SECOND), rank=2),
            figure("seq", f"{recorded.last_seq:,}" if recorded.last_seq is not None else "·", rank=1),
        ]
        rate = [
            figure("events", f"{recorded.events:,}"),
            figure("now", f"{self._rate():,}/s"),
            figure("behind", f"{recorded.behind:,}", "yellow" if recorded.behind > 2 * self._rate() + 1_000 else ""),
        ]
        on_tape = [figure("tape", tape.path.name), figure("size", size_text(tape.size), rank=1)] if tape else []
        lines = [row(width, *head), row(width, *rate), row(width, *on_tape), Text()]
        names = [subject.partition("market.")[2] for subject in subjects]
        counts = [f"{recorded.by_subject[subject]:,}" for subject in subjects]
        lines += grid(width, Column("subject", names, width=16, flush="<"), Column("events", counts, width=12))
        room = height - len(lines) - 1
        if room > 0:
            lines += [Text(), *note_rows(notes, min(room, _NOTES), width)]
        return screen(lines[:height])

    def _rate(self) -> int:
        return self._recorded.second.at(time.monotonic_ns())


def print_record_summary(
    recording: Recording, recorded: Recorded, stopped_by: StopReason | None, *, as_json: bool
) -> None:
    """Print what a recording has put on which tapes."""
    if as_json:
        write_document(_document(recording, recorded, stopped_by))
        return
    wall_ns = time.monotonic_ns() - recorded.started_ns
    ended = f", by {stopped_by}" if stopped_by is not None else ""
    span = f", seq {recorded.first_seq:,} to {recorded.last_seq:,}" if recorded.first_seq is not None else ""
    rate = f"{recorded.events / (wall_ns / SECOND):,.0f}/s" if wall_ns else "·"
    write(labelled("recorded", f"{count('events', recorded.events)}{span}, {size_text(recorded.size)}, {rate}{ended}"))
    for tape, contents in recording.written:
        size = size_text(tape.stat().st_size)
        write(labelled("tape", f"{path_text(tape)}  {count('events', contents.all.events)}, {size}"))
    for gap in recording.gaps:
        write(labelled("missing", gap.text))


def _document(recording: Recording, recorded: Recorded, stopped_by: StopReason | None) -> dict[str, Any]:
    wall_s = (time.monotonic_ns() - recorded.started_ns) / SECOND
    return {
        "stream": recording.origin.stream,
        "events": recorded.events,
        "by_subject": dict(sorted(recorded.by_subject.items())),
        "bytes": recorded.size,
        "first_seq": recorded.first_seq,
        "last_seq": recorded.last_seq,
        "behind": recorded.behind,
        "gaps": [gap.document() for gap in recording.gaps],
        "tapes": [_tape_document(tape, contents) for tape, contents in recording.written],
        "wall_s": wall_s,
        "events_per_s": recorded.events / wall_s if wall_s else None,
        "stopped_by": stopped_by,
    }


def _tape_document(tape: Any, contents: Contents) -> dict[str, Any]:
    return {
        "path": str(tape),
        "size": tape.stat().st_size,
        "events": contents.all.events,
        "digest": contents.all.digest.hexdigest(),
        "digest_algorithm": contents.algorithm,
    }
