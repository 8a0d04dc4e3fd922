"""The files of a plan as encoded pieces, ready to be paced."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from spyctl.dbn.file_info import DBNFileInfo
from spyctl.dbn.sort_times import Selection
from spyctl.market.columns import Batch
from spyctl.market.encode import EncodedBatch, encode_batch
from spyctl.replay.source import Reading, read_batches
from spyctl.timing.clock import Clock
from spyctl.timing.instants import MS

YIELD_EVERY_NS = 20 * MS


@dataclass(slots=True)
class FileSource:
    """Files, read in the one order and encoded.

    The first ``skip`` events are left out; ``count`` ends after so many, those skipped included (``None``: all).
    ``skipped`` is how many have been left out so far, ``cut`` whether ``count`` ended it.
    """

    infos: Sequence[DBNFileInfo]
    selection: Selection
    skip: int = 0
    count: int | None = None
    skipped: int = 0
    cut: bool = False

    def pieces(self, reading: Reading) -> Iterator[EncodedBatch]:
        """Yield the events; empty pieces while none can be released. Counts into ``reading``.

        Raises :class:`MergeLimitError`.
        """
        self.skipped, self.cut = 0, False
        batches = self._without_skipped(read_batches(self.infos, self.selection, reading))
        left = None if self.count is None else max(0, self.count - self.skip)
        for piece in chain.from_iterable(map(encode_batch, batches)):
            if left is not None:
                piece = piece[:left]
                left -= len(piece)
            yield piece
            if left == 0:
                self.cut = True
                return

    def _without_skipped(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        for batch in batches:
            here = min(len(batch), self.skip - self.skipped)
            self.skipped += here
            yield batch[here:] if here else batch


async def in_turns(pieces: Iterator[EncodedBatch], clock: Clock) -> AsyncIterator[EncodedBatch]:
    """Yield pieces, with turns for other tasks in between: reading may go on for long before anything is due."""
    yielded_ns = clock.now_ns()
    for piece in pieces:
        if clock.now_ns() - yielded_ns > YIELD_EVERY_NS or not len(piece):
            await asyncio.sleep(0)
            yielded_ns = clock.now_ns()
        yield piece
