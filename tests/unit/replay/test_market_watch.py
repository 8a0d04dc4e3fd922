"""What a replay published last."""

from pathlib import Path

from spyctl.replay.bins import BINS
from spyctl.replay.market_watch import MarketWatch
from spyctl.replay.schedule import Schedule
from spyctl.replay.session import Replay, ReplayOptions
from spyctl.replay.snapshot import MarketNow
from spyctl.replay.source import DBNIngestor
from spyctl.timing.clock import MAX_SPEED
from tests.support.clock import FakeClock
from tests.support.records import MS, SECOND, T0, book, trade, write_file
from tests.support.sinks import RecordingSink

SCHEDULE = Schedule(T0, T0 + BINS * SECOND - 1, 105, MAX_SPEED)


async def watched(root: Path) -> MarketWatch:
    """Play five trades and a hundred books in the first tenth of a second, and watch them."""
    write_file(root, "trades", [trade(T0 + i * 20 * MS) for i in range(5)])
    write_file(root, "mbp-10", [book(T0 + i * MS) for i in range(100)])
    options = ReplayOptions(MAX_SPEED, prefix="DRILL")
    replay = Replay(DBNIngestor(root).discover_files(), RecordingSink(), options, run_id="r", clock=FakeClock())
    watch = MarketWatch(replay, SCHEDULE)
    assert watch.look(None) == MarketNow(prices=(None,) * BINS, tape=[])
    await replay.run()
    return watch


async def test_the_last_trade_and_book_are_those_published_under_any_prefix(tmp_path: Path) -> None:
    market = (await watched(tmp_path)).look(T0)
    assert market.trade is not None
    assert market.book is not None
    assert (market.trade.ts_event_ns, market.book.ts_event_ns) == (T0 + 80 * MS, T0 + 99 * MS)


async def test_the_tape_has_the_newest_trade_first(tmp_path: Path) -> None:
    market = (await watched(tmp_path)).look(T0)
    assert [trade.ts_event_ns for trade in market.tape] == [T0 + i * 20 * MS for i in (4, 3, 2, 1, 0)]


async def test_the_price_line_is_the_middle_of_the_book_where_it_was_played(tmp_path: Path) -> None:
    watch = await watched(tmp_path)
    watch.look(T0)
    watch.move()
    market = watch.look(T0 + 2 * SECOND)
    assert market.book is not None
    best = market.book.levels[0]
    assert best.bid_px is not None
    assert best.ask_px is not None
    middle = (best.bid_px + best.ask_px) / 2
    assert market.prices[:4] == (middle, None, middle, None)
    assert market.largest_size == max(max(level.bid_sz, level.ask_sz) for level in market.book.levels)
