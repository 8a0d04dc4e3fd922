"""What is left of a step while it is played."""

import asyncio
from dataclasses import dataclass

import numpy as np

from spyctl.market.columns import EVENT_TYPES
from spyctl.market.encode import EncodedBatch
from spyctl.market.subjects import rank_of, subject_of
from spyctl.replay.commands import Unit
from spyctl.replay.control import Answer

_TRADE = rank_of(subject_of(EVENT_TYPES["trades"]))


@dataclass(slots=True)
class Steps:
    """What is left of a step: so many events or trades, or all up to ``end_ns``."""

    left: int
    unit: Unit
    end_ns: int
    answer: "asyncio.Future[Answer]"

    @property
    def done(self) -> bool:
        """Whether nothing more belongs to it."""
        return self.left == 0

    def take(self, piece: EncodedBatch, start: int) -> int:
        """Return the end of what belongs to the step, from ``start`` on, and count it as done."""
        if self.unit is Unit.SECONDS:
            end = int(np.searchsorted(piece.sort_ns, self.end_ns, side="right"))
            self.left = 0 if end < len(piece) else self.left
            return max(start, end)
        if self.unit is Unit.EVENTS:
            end = min(len(piece), start + self.left)
            self.left -= end - start
            return end
        trades = start + np.flatnonzero(piece.ranks[start:] == _TRADE)[: self.left]
        self.left -= len(trades)
        return len(piece) if self.left else int(trades[-1]) + 1
