"""``--sink stdout``: events as JSON lines instead of messages."""

import sys
import time
from collections.abc import Sequence

from spyctl.bus.publisher import Delivery


class StdoutSink:
    """Writes ``{"subject":…,"event":…}`` lines; what is written counts as acknowledged."""

    def __init__(self) -> None:
        self.delivery = Delivery()

    async def publish(self, subjects: Sequence[str], payloads: Sequence[bytes]) -> None:
        """Write events; blocks while the reader of the pipe does not read."""
        started_ns = time.monotonic_ns()
        lines = (
            b'{"subject":"%b","event":%b}\n' % (subject.encode(), payload)
            for subject, payload in zip(subjects, payloads, strict=True)
        )
        sys.stdout.buffer.write(b"".join(lines))
        sys.stdout.buffer.flush()
        delivery = self.delivery
        delivery.published += len(payloads)
        delivery.acked += len(payloads)
        delivery.payload_bytes += sum(map(len, payloads))
        delivery.ack_ns.add(time.monotonic_ns() - started_ns, len(payloads))

    async def drain(self) -> None:
        """Everything is written already."""
