"""Sinks that need no server."""

from spyctl.bus.in_flight import Delivery
from spyctl.market.encode import EncodedBatch
from spyctl.market.subjects import SUBJECTS


class RecordingSink:
    """Remembers every event as (subject without prefix, payload) and acknowledges it at once."""

    protocol = "recorded"

    def __init__(self) -> None:
        self.delivery = Delivery()
        self.messages: list[tuple[str, bytes]] = []
        self.drained = False

    async def publish(self, batch: EncodedBatch) -> None:
        self.messages += [(SUBJECTS[r], p) for r, p in zip(batch.ranks.tolist(), batch.payloads(), strict=True)]
        self.delivery.published += len(batch)
        self.delivery.acked += len(batch)
        self.delivery.payload_bytes += int(batch.lengths.sum())
        self.delivery.stored(1, self.delivery.published)
        self.delivery.ack_ns.add(1_000_000, len(batch))

    async def drain(self) -> None:
        self.drained = True
