"""Tapes into files of another kind: a table for each subject, or DBN files of the futures."""

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from spyctl.dbn.export import DBNExport
from spyctl.errors import PayloadError
from spyctl.market.columns import EVENT_TYPES
from spyctl.market.events import MBP10, FuturesTrade
from spyctl.market.lines import StreamMessage
from spyctl.market.subjects import KINDS, SUBJECTS, decode, subject_of
from spyctl.replay.tapes.playlist import Playlist
from spyctl.replay.tapes.reader import Advance, Findings, tell_nobody
from spyctl.replay.tapes.tables import TableWriter

_NO_DBN = "DBN holds futures alone"
_UNFIT = "of another exchange, without a sequence, or with a number too large for DBN"
_NO_EVENT = "not events of their subject"


class Conversion:
    """Converts tapes into the same files, which are called after the first one.

    ``groups`` are tapes that overlap among themselves; what several of them hold is converted once. ``form`` is
    ``parquet``, ``csv`` or ``dbn``, ``subjects`` (without prefix) are those that are wanted.

    ``written`` are the files, each with its events; ``left_out`` counts what is not in them, by reason; ``problems``
    say what is wrong with the tapes, of which what is whole is converted.
    """

    def __init__(
        self,
        groups: Sequence[Sequence[Path]],
        folder: Path,
        form: str,
        subjects: Collection[str],
        *,
        overwrite: bool = False,
    ) -> None:
        self.tapes = tuple(tape for group in groups for tape in group)
        self._groups = groups
        self.written: list[tuple[Path, int]] = []
        self.left_out: Counter[str] = Counter()
        self.problems: list[str] = []
        self._folder = folder
        self._form = form
        self._wanted = frozenset(subjects)
        self._overwrite = overwrite

    @property
    def targets(self) -> list[Path]:
        """The files that a conversion into tables may write; those of DBN have their dates in their names."""
        subjects = [kind.subject for kind in KINDS if kind.subject in self._wanted]
        return [self._target(subject) for subject in subjects] if self._form != "dbn" else []

    def run(self, advance: Advance = tell_nobody) -> None:
        """Convert the tapes. Raises :class:`OSError`, and then leaves nothing half written."""
        findings = Findings()
        sinks: dict[str, TableWriter | _FuturesSink] = {}
        try:
            for lines in Playlist(self._groups, advance=advance).lines(findings=findings):
                by_subject: dict[str, list[StreamMessage]] = {}
                for message in lines.messages(SUBJECTS):
                    by_subject.setdefault(message.subject, []).append(message)
                for subject, messages in by_subject.items():
                    self._add(sinks, subject, messages)
            for sink in sinks.values():
                if (path := sink.finish()) is not None:
                    self.written.append((path, sink.rows))
                self.left_out.update({_NO_EVENT: sink.rejected})
                if isinstance(sink, _FuturesSink):
                    self.left_out.update({_UNFIT: sink.unfit})
        except BaseException:
            for sink in sinks.values():
                sink.discard()
            raise
        self.left_out = +self.left_out
        self.problems = findings.problems(self.tapes[0].name)

    def _add(self, sinks: "dict[str, TableWriter | _FuturesSink]", subject: str, messages: list[StreamMessage]) -> None:
        if subject not in self._wanted:
            return
        if subject not in sinks:
            if self._form != "dbn":
                kind = next(kind for kind in KINDS if kind.subject == subject)
                sinks[subject] = TableWriter(self._target(subject), kind, self._form)
            elif subject in _SCHEMA_OF:
                sinks[subject] = _FuturesSink(DBNExport(self._folder, _SCHEMA_OF[subject], overwrite=self._overwrite))
            else:
                self.left_out[_NO_DBN] += len(messages)
                return
        sinks[subject].add(messages)

    def _target(self, subject: str) -> Path:
        stem = self.tapes[0].name.partition(".jsonl")[0]
        return self._folder / f"{stem}.{subject.removeprefix('market.')}.{self._form}"


_SCHEMA_OF = {subject_of(event_type): schema for schema, event_type in EVENT_TYPES.items()}


class _FuturesSink:
    # Messages into a DBN file, those left out that are no events.
    def __init__(self, export: DBNExport) -> None:
        self.rejected = 0
        self._export = export

    @property
    def rows(self) -> int:
        return self._export.records

    @property
    def unfit(self) -> int:
        return self._export.unfit

    def add(self, messages: list[StreamMessage]) -> None:
        events: list[FuturesTrade | MBP10] = []
        for message in messages:
            try:
                event = decode(message.subject, message.payload)
            except PayloadError:
                self.rejected += 1
                continue
            if isinstance(event, FuturesTrade | MBP10):
                events.append(event)
        self._export.add(events)

    def finish(self) -> Path | None:
        return self._export.finish()

    def discard(self) -> None:
        self._export.discard()
