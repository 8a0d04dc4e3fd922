"""``--sink stdout``: events as JSON lines instead of messages."""

import asyncio
import sys
import time
from collections.abc import Sequence

from spyctl.bus.in_flight import Delivery
from spyctl.market.encode import EncodedBatch


class StdoutSink:
    """Writes ``{"subject":…,"event":…}`` lines, or ``raw`` payloads alone; what is written counts as acknowledged.

    ``subjects`` is the table that the ranks of the events index.
    """

    protocol = "written"

    def __init__(self, subjects: Sequence[str], *, raw: bool = False) -> None:
        self.delivery = Delivery()
        self._heads = [b"" if raw else b'{"subject":"%b","event":' % subject.encode() for subject in subjects]
        self._tail = b"\n" if raw else b"}\n"

    async def publish(self, batch: EncodedBatch) -> None:
        """Write events; waits while the reader of the pipe does not read."""
        started_ns = time.monotonic_ns()
        payloads = zip(batch.ranks.tolist(), batch.payloads(), strict=True)
        lines = (self._heads[rank] + payload + self._tail for rank, payload in payloads)
        await asyncio.to_thread(self._write, b"".join(lines))  # a pipe that blocks must not block signals
        delivery = self.delivery
        delivery.published += len(batch)
        delivery.acked += len(batch)
        delivery.payload_bytes += int(batch.lengths.sum())
        delivery.ack_ns.add(time.monotonic_ns() - started_ns, len(batch))

    @staticmethod
    def _write(data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    async def drain(self) -> None:
        """Everything is written already."""
