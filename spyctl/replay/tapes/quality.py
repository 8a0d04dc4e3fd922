"""How good a tape is: what its messages say of the data, by subject, and what the tape itself lacks.

All of it is gathered in one pass, over many lines at once and in memory that does not depend on the size of the tape.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spyctl.dbn.quality import QUIET_NS, Inversions, QuietStretches, in_daily_break
from spyctl.dbn.sort_times import REORDER_WINDOW
from spyctl.errors import DamagedFileError, PayloadError
from spyctl.market.events import Gap, Reset
from spyctl.market.sessions import options_trade_between, stocks_trade_between
from spyctl.market.subjects import SUBJECTS, decode, rank_of, subject_of
from spyctl.replay.tapes.catalog import TapeInfo
from spyctl.replay.tapes.lines import Lines
from spyctl.replay.tapes.order import running_recv, snapshots_among, sort_times
from spyctl.replay.tapes.reader import Advance, TapeReader, tell_nobody
from spyctl.timing.instants import MAX_INSTANT

_RESET, _GAP = rank_of(subject_of(Reset)), rank_of(subject_of(Gap))
_MOST_GAPS = 1_000  # that are kept; all are counted


@dataclass(slots=True)
class SubjectQuality:
    """What the events on one subject are like; times and durations are in ns.

    An inversion is a ``ts_event`` before one that lies earlier on the tape, snapshots and what a reset separates aside.
    ``late`` are those that a replay would call late: further from the running ``ts_recv`` than the reorder window.
    ``quiet`` are the longest stretches without an event, by ``ts_recv``; ``quiets`` counts those of a minute or more.
    ``leads`` is false for trades beside quotes or books: these may change while there are no trades.
    """

    subject: str
    events: int = 0
    size: int = 0
    first_ns: int = MAX_INSTANT
    last_ns: int = 0
    latency_max_ns: int | None = None
    received_before_event: int = 0
    inversions: int = 0
    largest_inversion_ns: int = 0
    late: int = 0
    quiets: int = 0
    quiet: list[tuple[int, int]] = field(default_factory=list)
    leads: bool = True

    def doubts(self) -> list[str]:
        """Say in words what somebody should look at."""
        counts = [
            (self.inversions, "ts_event inversion", ""),
            (self.late, "event", " later than the reorder window"),
            (self.received_before_event, "event", " received before it happened"),
        ]
        if self.leads:
            while_closed = sum(market_closed(self.subject, *stretch) for stretch in self.quiet)
            counts.append((self.quiets - while_closed, "quiet spell", " of a minute or more"))
        return [f"{self.subject.partition('market.')[2]}: {_counted(*each)}" for each in counts if each[0]]


@dataclass(slots=True)
class TapeQuality:
    """What one tape is like, with its subjects in the order of their ranks.

    ``no_events`` are lines that hold no event, ``duplicates`` those whose sequence the tape had before; both are left
    out. ``gap_records`` counts the messages on ``market.gaps``, ``gaps`` are what they say last of each gap.
    """

    info: TapeInfo
    subjects: list[SubjectQuality] = field(default_factory=list)
    lines: int = 0
    no_events: int = 0
    duplicates: int = 0
    gap_records: int = 0
    gaps: list[Gap] = field(default_factory=list)
    resets: int = 0
    damage: list[DamagedFileError] = field(default_factory=list)

    def doubts(self) -> list[str]:
        """Say in words what somebody should look at."""
        missing = sum(gap.last_seq - gap.first_seq + 1 for gap in self.info.gaps)
        counts = [
            (self.no_events, "line", " that is no event" if self.no_events == 1 else " that are no events"),
            (self.duplicates, "line", " of a sequence that came before"),
            (self.gap_records, "gap record", ""),
            (missing, "sequence", " of the stream missing"),
            (len(self.damage), "damaged place", ""),
        ]
        found = [doubt for subject in self.subjects for doubt in subject.doubts()]
        found += [_counted(*each) for each in counts if each[0]]
        return found or ([] if self.subjects or self.gap_records or self.resets else ["no event on this tape"])


def _counted(count: int, noun: str, rest: str) -> str:
    return f"{count:,} {noun if count == 1 else f'{noun}s'}{rest}"


def market_closed(subject: str, from_ns: int, to_ns: int) -> bool:
    """Tell whether a quiet stretch is (nearly) one in which what comes on a subject is not traded."""
    market = subject.partition("market.")[2].partition(".")[0]
    if market == "futures":
        return in_daily_break(from_ns, to_ns)
    trade_between = options_trade_between if market == "options" else stocks_trade_between
    last_ns = from_ns + 2 * QUIET_NS
    return not trade_between(last_ns, max(last_ns, to_ns - 10 * QUIET_NS) + 1)


def assess_tape(info: TapeInfo, subjects: Collection[str] | None = None, advance: Advance = tell_nobody) -> TapeQuality:
    """Read a tape to its end; only what comes on some ``subjects`` (without prefix, ``None``: all) is told by subject.

    Damage is noted in the result, which then covers what is whole.
    """
    reader = TapeReader(info.path, advance=advance)
    wanted = {rank for rank, subject in enumerate(SUBJECTS) if subjects is None or subject in subjects}
    assessment = _Assessment(TapeQuality(info), wanted)
    for lines in reader.lines():
        assessment.add(lines)
    quality, findings = assessment.finish(), reader.findings
    quality.lines, quality.damage = findings.lines, findings.damage
    quality.no_events += findings.rejected["no_event"]
    quality.duplicates = findings.rejected["sequence_goes_back"]
    return quality


class _Subject:
    # What is gathered of one subject.
    def __init__(self, rank: int) -> None:
        self.quality = SubjectQuality(SUBJECTS[rank])
        self.inversions = Inversions()
        self.quiet = QuietStretches()

    def add(self, lines: Lines, late: NDArray[np.bool_]) -> None:
        quality, ts_event, ts_recv = self.quality, lines.ts_event_ns, lines.ts_recv_ns
        quality.events += len(lines)
        quality.size += int((lines.ends - lines.starts).sum())
        quality.first_ns = min(quality.first_ns, int(ts_event.min()))
        quality.last_ns = max(quality.last_ns, int(ts_event.max()))
        quality.late += int(late.sum())
        self.quiet.add(ts_recv)
        back = ts_event < np.maximum.accumulate(np.maximum(ts_event, self.inversions.newest_ns))
        real = ~snapshots_among(lines, back | (ts_recv - ts_event > REORDER_WINDOW))
        if real.any():
            latency = (ts_recv - ts_event)[real]
            self.inversions.add(ts_event[real])
            quality.received_before_event += int((latency < 0).sum())
            quality.latency_max_ns = max(int(latency.max()), quality.latency_max_ns or 0)

    def restart(self) -> None:
        self.inversions.restart()
        self.quiet.restart()

    def finish(self) -> SubjectQuality:
        quality = self.quality
        quality.inversions, quality.largest_inversion_ns = self.inversions.count, self.inversions.largest_ns
        quality.quiets, quality.quiet = self.quiet.count, sorted(self.quiet.longest)
        return quality


class _Assessment:
    def __init__(self, quality: TapeQuality, wanted: Collection[int]) -> None:
        self.quality = quality
        self._wanted = set(wanted) - {_RESET, _GAP}
        self._subjects: dict[int, _Subject] = {}
        self._newest_recv_ns = [0, 0]
        self._gaps: dict[str, Gap] = {}

    def add(self, lines: Lines) -> None:
        # Times begin anew at a reset.
        start = 0
        for reset in np.flatnonzero(lines.ranks == _RESET).tolist():
            self._add_stretch(lines[start:reset])
            self._restart()
            self.quality.resets += 1
            start = reset + 1
        self._add_stretch(lines[start:])

    def _add_stretch(self, lines: Lines) -> None:
        if not len(lines):
            return
        _, late = sort_times(lines, running_recv(lines, self._newest_recv_ns), REORDER_WINDOW)
        for rank in np.unique(lines.ranks).tolist():
            of_rank = lines.ranks == rank
            if rank == _GAP:
                self._add_gaps(lines[of_rank])
            elif rank in self._wanted:
                self._subjects.setdefault(rank, _Subject(rank)).add(lines[of_rank], late[of_rank])

    def _add_gaps(self, lines: Lines) -> None:
        for payload in lines.payloads():
            try:
                gap = decode(SUBJECTS[_GAP], payload)
            except PayloadError:
                self.quality.no_events += 1
                continue
            self.quality.gap_records += 1
            if isinstance(gap, Gap) and (gap.gap_id in self._gaps or len(self._gaps) < _MOST_GAPS):
                self._gaps[gap.gap_id] = gap

    def _restart(self) -> None:
        self._newest_recv_ns = [0, 0]
        for subject in self._subjects.values():
            subject.restart()

    def finish(self) -> TapeQuality:
        found = {SUBJECTS[rank]: subject.finish() for rank, subject in sorted(self._subjects.items())}
        for name, subject in found.items():
            market, _, kind = name.rpartition(".")
            subject.leads = kind != "trades" or not {f"{market}.quotes", f"{market}.mbp10"} & found.keys()
        self.quality.subjects = list(found.values())
        self.quality.gaps = sorted(self._gaps.values(), key=lambda gap: gap.from_ns)
        return self.quality
