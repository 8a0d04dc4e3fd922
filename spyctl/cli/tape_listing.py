"""The tapes of a folder, as ``discover`` and ``time-range`` show them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spyctl.cli.framework.reporter import Reporter, progress_bar
from spyctl.cli.framework.streams import write
from spyctl.errors import path_text
from spyctl.terminal.tables import table
from spyctl.terminal.text import count, size_text

if TYPE_CHECKING:
    from datetime import date

    from spyctl.replay.tapes.catalog import TapeInfo


class TapeListing:
    """The tapes of a folder with what is wrong with them; ``checked`` ones were read to their end."""

    def __init__(self, infos: "Sequence[TapeInfo]", *, check: bool, reporter: Reporter) -> None:
        from spyctl.replay.tapes.catalog import check_tape, overlaps

        self.infos = infos
        self.checked = check
        self.overlaps = overlaps(infos)
        self.found: dict[Path, list[str]] = {}
        self.unnamed = 0  # lines that are left out, beyond those that the problems name
        with progress_bar(reporter, "checking tapes", sum(info.size for info in infos) if check else 0) as advance:
            for info in infos:
                if check:
                    self.found[info.path], unnamed = check_tape(info, advance)
                    self.unnamed += unnamed
                else:
                    self.found[info.path] = [info.problem.message] if info.problem is not None else []

    @property
    def problems(self) -> list[str]:
        """Say of each tape what is wrong with it."""
        return [problem for problems in self.found.values() for problem in problems]

    @property
    def warnings(self) -> list[str]:
        """Say what is no fault of a tape, but should be known."""
        lacking = [f"{path_text(info.path)}: {gap.text}" for info in self.infos for gap in info.gaps]
        twice = [
            f"{path_text(path)} overlaps {path_text(other)}: what both hold is played once"
            for path, other in self.overlaps.items()
        ]
        return ([] if self.checked else lacking) + twice

    def print(self) -> None:
        """Print a row for each tape."""
        heads = ("trading day", "stream", "events", "size", "first → last, UTC", "sequences", "note")
        rows = [self._row(info) for info in self.infos]
        for line in table(heads, rows, right={"events", "size"}):
            write(line)
        events = [info.contents.get("events") for info in self.infos]
        counted = f", {count('events', sum(number or 0 for number in events))}" if None not in events else ""
        size = size_text(sum(info.size for info in self.infos))
        checked = f", checked: {sum(not problems for problems in self.found.values()):,} good" if self.checked else ""
        write(f" {count('tapes', len(self.infos))}{counted}, {size}{checked}")

    def documents(self) -> list[dict[str, Any]]:
        """Return the tapes as data."""
        return [
            {
                **info.document(),
                "gaps": [gap.document() for gap in info.gaps],
                "problems": self.found[info.path],
                "overlaps": str(self.overlaps[info.path]) if info.path in self.overlaps else None,
                **{key: info.contents.get(key) for key in _KEYS},
            }
            for info in self.infos
        ]

    def _row(self, info: "TapeInfo") -> tuple[str, ...]:
        from spyctl.timing.instants import clock_on, date_of

        contents, span, seqs = info.contents, "·", "·"
        if contents.get("first_event_ns") is not None:
            first_ns, last_ns = contents["first_event_ns"], contents["last_event_ns"]
            day = info.day or date_of(first_ns)
            span = f"{clock_on(first_ns, day, digits=0)} → {clock_on(last_ns, day, digits=0)}"
        if contents.get("first_seq") is not None:
            seqs = f"{contents['first_seq']:,} to {contents['last_seq']:,}"
        events = f"{contents['events']:,}" if "events" in contents else "·"
        day_text = f"{info.day:%a} {info.day}" if info.day is not None else "·"
        return day_text, info.stream, events, size_text(info.size), span, seqs, ", ".join(self._remarks(info))

    def _remarks(self, info: "TapeInfo") -> list[str]:
        problems = self.found[info.path]
        remarks = [
            ("being recorded, or cut off", info.growing),
            (f"{sum(gap.last_seq - gap.first_seq + 1 for gap in info.gaps):,} missing", bool(info.gaps)),
            ("overlaps", info.path in self.overlaps),
            ("good", self.checked and not problems),
            ("cut short", any("cut short" in problem for problem in problems)),
            ("damaged", bool(problems) and not any("cut short" in problem for problem in problems)),
        ]
        return [remark for remark, applies in remarks if applies]


_KEYS = (
    "events", "bytes", "first_seq", "last_seq", "first_event_ns", "last_event_ns", "first_stored_ns", "last_stored_ns",
    "digest", "undecoded", "by_subject",
)  # fmt: skip


def subject_ranges(infos: "Sequence[TapeInfo]") -> "list[tuple[date | None, str, int, int | None, int | None]]":
    """Return for each tape and subject the events, and the first and last ``ts_event_ns``.

    A tape that nobody has counted is read.
    """
    from spyctl.replay.tapes.catalog import survey

    rows = []
    for info in infos:
        by_subject = info.contents.get("by_subject")
        if by_subject is None:
            tallies = survey(info.path).contents.by_subject
            by_subject = {subject: tally.document() for subject, tally in tallies.items()}
        rows += [
            (info.day, subject, tally["events"], tally["first_event_ns"], tally["last_event_ns"])
            for subject, tally in sorted(by_subject.items())
        ]
    return rows
