"""Encoded batches of whatever payloads a test wants."""

from collections.abc import Sequence

import numpy as np

from spyctl.market.encode import EncodedBatch


def batch_of(
    payloads: Sequence[bytes], ranks: Sequence[int] | None = None, ids: Sequence[bytes] | None = None
) -> EncodedBatch:
    """Return events with these payloads, all of rank 0 unless ``ranks`` are given, and with message ids if any."""
    times = np.zeros(len(payloads), np.int64)
    return EncodedBatch(
        _matrix(payloads),
        np.array([len(payload) for payload in payloads], np.uint32),
        np.array(ranks if ranks is not None else [0] * len(payloads), np.uint8),
        times,
        times.astype(bool),
        _matrix(ids) if ids is not None else None,
    )


def numbered(numbers: range, rank: int = 0) -> EncodedBatch:
    """Return an event for each number, with the payload ``event N``."""
    return batch_of([b"event %d" % n for n in numbers], [rank] * len(numbers))


def _matrix(texts: Sequence[bytes]) -> "np.ndarray[tuple[int, int], np.dtype[np.uint8]]":
    return np.array(texts, "S").view(np.uint8).reshape(len(texts), -1)
