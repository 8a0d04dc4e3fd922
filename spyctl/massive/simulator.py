"""A market without a market: a loopback server that speaks Massive's WebSocket protocol.

It serves ``/stocks`` and ``/options`` with a random walk of SPY: quotes, trades, and trades of the options around it,
in quiet and busy phases. The same seed gives the same walk. Tests script the same server (:class:`Script`): what it
answers, and when it breaks.
"""

import asyncio
import json
import math
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from spyctl.errors import PayloadError
from spyctl.market.option_tickers import OptionTicker, parse_option_ticker
from spyctl.massive.simulated_quotes import SimulatedQuotes
from spyctl.timing.tempo import FRAME_S, Tempo

RATE = 200.0
SEED = 7
START_PRICE = 680.0
KEY = "simulated"

Message = dict[str, Any]


class Walk:
    """A plausible SPY: each call of :meth:`step` gives the messages of a moment.

    The price drifts by ``trend`` dollars a minute. ``quotes`` draws the quotes of the options and the sides of their
    trades. Trade ids and sequences count up from ``first_id``; by
    default two walks on the same day do not share any, as at the vendor.
    """

    def __init__(
        self,
        seed: int = SEED,
        price: float = START_PRICE,
        first_id: int | None = None,
        symbol: str = "SPY",
        trend: float = 0.0,
    ) -> None:
        self._random = random.Random(seed)
        self.quotes = SimulatedQuotes(seed)
        self.price = price
        self.symbol = symbol
        self._trend = trend
        self._trade_id = time.time_ns() // 1_000 if first_id is None else first_id
        self._ms: int | None = None

    def step(self, count: int, ms: int, topics: Iterable[str]) -> list[Message]:
        """Return ``count`` messages at a time (Unix ms), and the option quotes around them.

        Options are those among the topics; those whose quotes are among them have quotes.
        """
        elapsed_ms = 0 if self._ms is None else ms - self._ms
        self.price = max(1.0, self.price + self._trend * elapsed_ms / 60_000)
        self._ms = ms
        topics = frozenset(topics)
        root = self.symbol.replace(".", "")
        tickers = (ticker for topic in topics if (ticker := _ticker(topic)) is not None)
        options = sorted((ticker for ticker in tickers if ticker.root == root), key=str)
        messages: list[Message] = self.quotes.later()
        for _ in range(count):
            dice = self._random.random()
            if dice < 0.7:
                messages.append(self._quote(ms))
            elif dice < 0.9 or not options:
                messages.append(self._trade(ms))
            else:
                trade = self._option_trade(ms, self._near(options))
                messages += self.quotes.around(trade) if f"Q.{trade['sym']}" in topics else [trade]
        return messages

    def _next_id(self) -> int:
        self._trade_id += 1
        return self._trade_id

    def _quote(self, ms: int) -> Message:
        self.price = max(1.0, self.price + self._random.gauss(0, 0.004))
        bid = math.floor(self.price * 100) / 100
        return {
            "ev": "Q", "sym": self.symbol, "bx": 11, "bp": bid, "bs": 100 * self._random.randint(1, 12), "ax": 12,
            "ap": round(bid + 0.01 * self._random.choice((1, 1, 1, 2)), 2), "as": 100 * self._random.randint(1, 12),
            "c": 1, "t": ms, "q": self._next_id(), "z": 2,
        }  # fmt: skip

    def _trade(self, ms: int) -> Message:
        size = self._random.choice((1, 5, 10, 50, 100, 100, 100, 200, 500))
        return {
            "ev": "T", "sym": self.symbol, "x": self._random.choice((4, 11, 12, 19)), "i": str(self._next_id()), "z": 2,
            "p": round(self.price + self._random.choice((-0.01, 0.0, 0.01)), 2), "s": size,
            "c": [14] if size >= 100 else [14, 37], "t": ms, "q": self._next_id(),
        }  # fmt: skip

    def _near(self, options: list[OptionTicker]) -> OptionTicker:
        weights = [math.exp(-abs(option.strike - self.price)) for option in options]
        return self._random.choices(options, weights)[0]

    def _option_trade(self, ms: int, option: OptionTicker) -> Message:
        above = self.price - option.strike if option.right == "C" else option.strike - self.price
        value = max(0.0, above) + 1.9 * math.exp(-abs(above) / 2.5)
        return {
            "ev": "T", "sym": str(option), "x": self._random.choice((300, 302, 312, 322)),
            "p": max(0.01, round(value, 2)),
            "s": self._random.choice((1, 1, 2, 5, 10, 20)), "c": [209], "t": ms, "q": self._next_id(),
        }  # fmt: skip


class Market:
    """Several walks, which take turns."""

    def __init__(self, walks: Sequence[Walk]) -> None:
        self.walks = walks
        self._next = 0

    def step(self, count: int, ms: int, topics: Iterable[str]) -> list[Message]:
        """Return ``count`` messages at a time (Unix ms), like :meth:`Walk.step`."""
        topics, number = frozenset(topics), len(self.walks)
        turns = [(self._next + i) % number for i in range(count)]
        self._next = (self._next + count) % number
        return [message for i, walk in enumerate(self.walks) for message in walk.step(turns.count(i), ms, topics)]


def _ticker(topic: str) -> OptionTicker | None:
    try:
        return parse_option_ticker(topic.removeprefix("T."))
    except PayloadError:
        return None


@dataclass(slots=True)
class Peer:
    """One connection as the server sees it; ``heard`` is every message it sent, ``topics`` what it is subscribed to."""

    market: str
    socket: ServerConnection
    number: int
    topics: list[str] = field(default_factory=list)
    heard: list[Message] = field(default_factory=list)

    async def say(self, *items: Any) -> None:
        """Send one frame."""
        await self.socket.send(json.dumps(list(items)))

    async def status(self, status: str, message: str) -> None:
        """Send a status in a frame of its own."""
        await self.say(_status(status, message))

    def abort(self) -> None:
        """Cut the connection without a close frame."""
        self.socket.transport.abort()


def _topic(message: Message) -> str:
    return f"{message['ev']}.{message['sym'] if 'sym' in message else message['T']}"


def _status(status: str, message: str) -> Message:
    return {"ev": "status", "status": status, "message": message}


class Script:
    """How the server answers; a test overrides what it wants different."""

    async def greet(self, peer: Peer) -> None:
        """Answer a new connection."""
        await peer.status("connected", "Connected Successfully")

    async def authenticate(self, peer: Peer, key: str) -> bool:
        """Answer a key; returns whether the connection goes on."""
        await peer.status("auth_success", "authenticated")
        return True

    async def subscribe(self, peer: Peer, topics: list[str]) -> None:
        """Acknowledge what is new among the topics."""
        new = [topic for topic in topics if topic not in peer.topics]
        peer.topics += new
        if new:
            await peer.say(*(_status("success", f"subscribed to: {topic}") for topic in new))

    async def unsubscribe(self, peer: Peer, topics: list[str]) -> None:
        """Acknowledge what was held among the topics."""
        gone = [topic for topic in topics if topic in peer.topics]
        for topic in gone:
            peer.topics.remove(topic)
        if gone:
            await peer.say(*(_status("success", f"unsubscribed to: {topic}") for topic in gone))


class Simulator:
    """The server. ``rate`` is events a second over both markets, 0 for silence; ``peers`` are the connections now.

    Every ``cut_every_s`` seconds it cuts them all, ``None`` for never.
    """

    def __init__(
        self,
        rate: float = RATE,
        walk: Walk | Market | None = None,
        script: Script | None = None,
        *,
        cut_every_s: float | None = None,
    ) -> None:
        self.rate = rate
        self.cut_every_s = cut_every_s
        self.peers: list[Peer] = []
        self.connections = 0
        self.sent = 0
        self.script = script or Script()
        self.walk: Walk | Market = walk or Walk()
        self._server: Server | None = None

    @property
    def url(self) -> str:
        """Where it listens; ``/stocks`` and ``/options`` are below it."""
        assert self._server is not None
        return f"ws://127.0.0.1:{next(iter(self._server.sockets)).getsockname()[1]}"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Simulator"]:
        """Listen on a free port of the loopback interface."""
        async with serve(self._serve, "127.0.0.1", 0, max_size=None) as self._server:
            tasks = [asyncio.create_task(self._play())]
            if self.cut_every_s is not None:
                tasks.append(asyncio.create_task(self._cut(self.cut_every_s)))
            try:
                yield self
            finally:
                for task in tasks:
                    task.cancel()
                self.abort()

    def abort(self) -> None:
        """Cut all connections without a close frame."""
        for peer in list(self.peers):
            peer.abort()

    async def _cut(self, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            self.abort()

    async def _serve(self, socket: ServerConnection) -> None:
        path = socket.request.path if socket.request is not None else ""
        self.connections += 1
        peer = Peer(path.strip("/"), socket, self.connections)
        self.peers.append(peer)
        try:
            await self.script.greet(peer)
            async for text in socket:
                message = json.loads(text)
                peer.heard.append(message)
                if not await self._answer(peer, message["action"], message["params"]):
                    break
        except ConnectionClosed:
            pass
        finally:
            self.peers.remove(peer)

    async def _answer(self, peer: Peer, action: str, params: str) -> bool:
        if action == "auth":
            return await self.script.authenticate(peer, params)
        answers: dict[str, Callable[[Peer, list[str]], Awaitable[None]]] = {
            "subscribe": self.script.subscribe,
            "unsubscribe": self.script.unsubscribe,
        }
        if action in answers:
            await answers[action](peer, [topic.strip() for topic in params.split(",")])
        return True

    async def _play(self) -> None:
        tempo = Tempo(time.monotonic())
        while True:
            await asyncio.sleep(FRAME_S)
            count = tempo.take(time.monotonic(), self.rate)
            topics = {topic for peer in self.peers for topic in peer.topics}
            messages = self.walk.step(count, time.time_ns() // 1_000_000, topics)
            frames = [(peer, [each for each in messages if _topic(each) in peer.topics]) for peer in self.peers]
            self.sent += sum(len(theirs) for _, theirs in frames)
            for peer, theirs in frames:
                if theirs:
                    with suppress(ConnectionClosed):
                        await peer.say(*theirs)
