"""A vendor's server for benchmarks: prebuilt frames, sent at a rate, in a process of its own."""

import asyncio
import json
import sys
import time

from spyctl.massive.simulator import Peer, Script, Simulator, Walk

EVENTS_A_FRAME = 5


class Prebuilt(Script):
    """Sends frames of stocks once they are subscribed; ``rate`` is events a second, 0 as fast as they are taken."""

    def __init__(self, rate: float, total: int) -> None:
        self.rate = rate
        self.total = total
        self._sending: set[asyncio.Task[None]] = set()
        walk = Walk()
        self._messages = walk.step(total, 0, ())

    async def subscribe(self, peer: Peer, topics: list[str]) -> None:
        await super().subscribe(peer, topics)
        if peer.market == "stocks" and not self._sending:
            self._sending.add(asyncio.create_task(self._send(peer)))

    async def _send(self, peer: Peer) -> None:
        begun_s = time.monotonic()
        for sent in range(0, self.total, EVENTS_A_FRAME):
            if self.rate and (early_s := begun_s + sent / self.rate - time.monotonic()) > 0:
                await asyncio.sleep(early_s)
            now_ms = time.time_ns() // 1_000_000
            frame = self._messages[sent : sent + EVENTS_A_FRAME]
            for message in frame:
                message["t"] = now_ms
            await peer.socket.send(json.dumps(frame))


async def main(rate: float, total: int) -> None:
    async with Simulator(0, script=Prebuilt(rate, total)).serving() as simulator:
        print(simulator.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), int(sys.argv[2])))
