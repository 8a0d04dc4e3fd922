"""A made-up futures market: a book of ten levels that trades and changes at random. Its prices mean nothing."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import databento_dbn as dbn

TICK = 250_000_000
PUBLISHER = 1
FLAGS_BOOK = dbn.F_LAST | dbn.F_PUBLISHER_SPECIFIC
_SIDES = (dbn.Side.BID, dbn.Side.ASK)


@dataclass(slots=True)
class BookSide:
    """Ten levels, best first, a tick apart; ``step`` is -1 for bids and 1 for asks."""

    best: int
    step: int
    sizes: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def deepen(self, rng: random.Random) -> None:
        """Fill it up to ten levels."""
        while len(self.sizes) < 10:
            self.sizes.append(rng.randrange(20, 140))
            self.counts.append(rng.randrange(5, 40))

    def drop_best(self, rng: random.Random) -> None:
        """Take the best level away."""
        del self.sizes[0], self.counts[0]
        self.best += self.step * TICK
        self.deepen(rng)

    def improve(self, rng: random.Random) -> None:
        """Put a new level before the best one."""
        self.sizes = [rng.randrange(1, 30), *self.sizes[:9]]
        self.counts = [rng.randrange(1, 8), *self.counts[:9]]
        self.best -= self.step * TICK


@dataclass(frozen=True, slots=True)
class Change:
    """One record in the making; the levels are built when it is written. ``price`` in 1e-9 units."""

    action: Any  # dbn.Action and dbn.Side; the package's stubs take their members for strings
    side: Any
    price: int
    size: int
    depth: int


@dataclass(frozen=True, slots=True)
class Stamp:
    """What all records of one moment share; times in Unix ns, ``delta_ns`` is ``ts_in_delta``."""

    instrument_id: int
    ts_event_ns: int
    ts_recv_ns: int
    delta_ns: int
    sequence: int


class SyntheticMarket:
    """A random walk of one book; the same seed and day give the same walk."""

    def __init__(self, seed: int, day: date, start_price: int = 6_815 * 1_000_000_000) -> None:
        self.rng = random.Random(f"{seed}/{day}")
        self.bids = BookSide(start_price, -1)
        self.asks = BookSide(start_price + TICK, 1)
        for side in (self.bids, self.asks):
            side.deepen(self.rng)
        self.thin = False  # before the open of the week the book has fewer levels

    def levels(self) -> list[dbn.BidAskPair]:
        """Return the ten levels as they are now."""
        depth = 6 if self.thin else 10
        bids, asks = self.bids, self.asks
        pairs = [
            dbn.BidAskPair(
                bids.best - i * TICK,
                asks.best + i * TICK,
                bids.sizes[i],
                asks.sizes[i],
                bids.counts[i],
                asks.counts[i],
            )
            for i in range(depth)
        ]
        return pairs + [dbn.BidAskPair() for _ in range(10 - depth)]

    def trade(self) -> Iterator[Change]:
        """Yield a trade, then its changes of the book: the record of a trade shows the book before it."""
        rng = self.rng
        buys = rng.random() < 0.5
        resting = self.asks if buys else self.bids
        size = min(resting.sizes[0], 1 + int(rng.expovariate(0.35)))
        aggressor = dbn.Side.NONE if rng.random() < 0.004 else _SIDES[0 if buys else 1]
        yield Change(dbn.Action.TRADE, aggressor, resting.best, size, 0)
        price, book_side = resting.best, _SIDES[1 if buys else 0]
        resting.sizes[0] -= size
        if resting.sizes[0] == 0:
            resting.drop_best(rng)
            yield Change(dbn.Action.CANCEL, book_side, price, size, 0)
            if self.asks.best - self.bids.best > TICK:
                follower = self.bids if buys else self.asks
                follower.improve(rng)
                yield Change(dbn.Action.ADD, _SIDES[0 if buys else 1], follower.best, follower.sizes[0], 0)
        else:
            yield Change(dbn.Action.CANCEL, book_side, price, size, 0)

    def change(self) -> Change:
        """Change the book without a trade."""
        rng = self.rng
        side = self.bids if rng.random() < 0.5 else self.asks
        depth = min(9, int(rng.expovariate(0.45)))
        book_side = _SIDES[0 if side is self.bids else 1]
        price = side.best + side.step * depth * TICK
        size = 1 + int(rng.expovariate(0.2))
        if side.sizes[depth] > 60 + depth * 8 or (side.sizes[depth] > size and rng.random() < 0.48):
            side.sizes[depth] -= min(size, side.sizes[depth] - 1)
            side.counts[depth] = max(1, side.counts[depth] - 1)
            action = dbn.Action.CANCEL if rng.random() < 0.85 else dbn.Action.MODIFY
        else:
            side.sizes[depth] += size
            side.counts[depth] += 1
            action = dbn.Action.ADD
        return Change(action, book_side, price, size, depth)

    def step(self, stamp: Stamp) -> Iterator[tuple[str, dbn.TradeMsg | dbn.MBP10Msg]]:
        """Yield the records of one moment with their schemas: a change of the book, or a trade and what follows it."""
        if self.rng.random() >= 0.05:
            yield "mbp-10", self.book(self.change(), stamp, FLAGS_BOOK)
            return
        for change in self.trade():
            is_trade = change.action == dbn.Action.TRADE
            if is_trade:
                yield (
                    "trades",
                    dbn.TradeMsg(
                        PUBLISHER, stamp.instrument_id, stamp.ts_event_ns, change.price, change.size, change.action,
                        change.side, 0, stamp.ts_recv_ns, 0, stamp.delta_ns, stamp.sequence,
                    ),
                )  # fmt: skip
            yield "mbp-10", self.book(change, stamp, 0 if is_trade else FLAGS_BOOK)

    def book(self, change: Change, stamp: Stamp, flags: int) -> dbn.MBP10Msg:
        """Return the record of a change, with the book as it is now."""
        return dbn.MBP10Msg(
            PUBLISHER, stamp.instrument_id, stamp.ts_event_ns, change.price, change.size, change.action, change.side,
            change.depth, stamp.ts_recv_ns, flags, stamp.delta_ns, stamp.sequence, self.levels(),
        )  # fmt: skip
