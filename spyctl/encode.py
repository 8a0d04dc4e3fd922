"""Canonical columns → the bytes that are published."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray

from spyctl.columns import EVENT_TYPES, SCHEMAS, Batch, events
from spyctl.wire import subject_of

PIECE = 512  # events encoded at once, so that a paced replay is never held up for long
SUBJECTS = tuple(subject_of(EVENT_TYPES[schema]) for schema in SCHEMAS)


@dataclass(slots=True)
class EncodedBatch:
    """Events ready to be published, in order.

    ``payloads`` are the JSON bytes, ``ranks`` index :data:`SUBJECTS`, ``sort_ns`` are the times the pacing
    goes by and ``late`` marks events whose ``ts_event`` lies outside the reorder window.
    """

    payloads: list[bytes]
    ranks: NDArray[np.integer]
    sort_ns: NDArray[np.int64]
    late: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.payloads)

    def __getitem__(self, piece: slice) -> "EncodedBatch":
        return EncodedBatch(self.payloads[piece], self.ranks[piece], self.sort_ns[piece], self.late[piece])


def encode_batch(batch: Batch) -> Iterator[EncodedBatch]:
    """Yield the events of a batch as bytes, a bounded piece at a time; ``orjson.dumps`` of each event."""
    for start in range(0, len(batch), PIECE):
        piece = batch[start : start + PIECE]
        yield EncodedBatch(
            [orjson.dumps(event) for event in events(piece)],
            piece.ranks().astype(np.uint8),
            piece.column("sort_ns"),
            piece.column("late"),
        )
