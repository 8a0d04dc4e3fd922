"""Encoded batches of whatever payloads a test wants."""

from collections.abc import Sequence

from spyctl.market.encode import EncodedBatch, encoded_events


def batch_of(
    payloads: Sequence[bytes], ranks: Sequence[int] | None = None, ids: Sequence[bytes] | None = None
) -> EncodedBatch:
    """Return events with these payloads, all of rank 0 unless ``ranks`` are given, and with message ids if any."""
    return encoded_events(payloads, ranks if ranks is not None else [0] * len(payloads), ids)


def numbered(numbers: range, rank: int = 0) -> EncodedBatch:
    """Return an event for each number, with the payload ``event N``."""
    return batch_of([b"event %d" % n for n in numbers], [rank] * len(numbers))
