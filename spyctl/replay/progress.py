"""Counters of what a replay has published, for its display and its summary."""

from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spyctl.market.encode import EncodedBatch
from spyctl.market.events import Gap
from spyctl.market.subjects import rank_of, subject_of
from spyctl.replay.sightings import Sightings, Trouble
from spyctl.timing.rolling import RollingSecond

TAPE = 40  # trades
_GAP = rank_of(subject_of(Gap))


@dataclass(slots=True)
class Progress:
    """Counters by subject, written by the one that publishes; ``subjects`` is the table that ranks index.

    ``sightings`` are the places of trouble in the plan. ``newest`` is, for each subject, a piece that its last event is
    in; ``seconds`` is how busy each was, and ``second`` all of them. ``tape`` holds the last trades, each with its
    subject. ``started_ns`` and ``ended_ns`` are Unix ns, 0 before they are known.
    """

    subjects: Sequence[str]
    sightings: Sightings
    by_subject: Counter[str] = field(default_factory=Counter)
    late: int = 0
    newest: dict[str, EncodedBatch] = field(default_factory=dict)
    second: RollingSecond = field(default_factory=RollingSecond)
    seconds: dict[str, RollingSecond] = field(default_factory=lambda: defaultdict(RollingSecond))
    tape: deque[tuple[str, bytes]] = field(default_factory=lambda: deque(maxlen=TAPE))
    started_ns: int = 0
    ended_ns: int = 0
    _is_trade: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        self._is_trade = np.array([subject.endswith(".trades") for subject in self.subjects])

    def counts(self, piece: EncodedBatch) -> list[tuple[str, int]]:
        """Count the events of a piece by subject."""
        counts = zip(self.subjects, np.bincount(piece.ranks).tolist(), strict=False)
        return [(subject, count) for subject, count in counts if count]

    def add(self, piece: EncodedBatch, now_ns: int) -> None:
        """Count events that were published by ``now_ns`` (monotonic)."""
        for subject, count in self.counts(piece):
            self.by_subject[subject] += count
            self.newest[subject] = piece
            self.seconds[subject].add(now_ns, count)
        self.second.add(now_ns, len(piece))
        self._record(piece)
        if late := int(piece.late.sum()):
            self.late += late
            self.sightings.note(Trouble.LATE, piece.sort_ns[piece.late].tolist())
        if (gaps := piece.ranks == _GAP).any():
            self.sightings.note(Trouble.GAP, piece.sort_ns[gaps].tolist())

    def _record(self, piece: EncodedBatch) -> None:
        newest = piece[np.flatnonzero(self._is_trade[piece.ranks])[-TAPE:]]
        self.tape.extend(zip((self.subjects[rank] for rank in newest.ranks), newest.payloads(), strict=True))

    def show(self, piece: EncodedBatch) -> None:
        """Take a reset and seeds as the newest of their subjects; they are counted elsewhere."""
        self.newest |= {subject: piece for subject, _ in self.counts(piece)}
