"""A replay at one moment, as its screens are drawn from it: a usual one, and one with the widest figures."""

from dataclasses import replace
from typing import Any

from spyctl.bus.consumers import Consumer
from spyctl.market.events import MBP10, Aggressor, BidAskLevel, EventSource, FuturesTrade, OptionTrade
from spyctl.replay.bins import BINS
from spyctl.replay.schedule import Schedule
from spyctl.replay.screen import render
from spyctl.replay.snapshot import MarketNow, Position, Scene, Snapshot, SpeedNow, Subject
from spyctl.summary import DeliveryFigures, EventCounts, ReplayDetails, RunSummary, Timing
from spyctl.terminal.panels import ServerNow
from spyctl.terminal.process import Usage
from spyctl.timing.clock import Speed
from spyctl.timing.histogram import Percentiles
from spyctl.timing.instants import HOUR, MINUTE, MS, SECOND
from spyctl.timing.notes import Note
from tests.support.frames import lines_of
from tests.support.records import T0

LEVELS = tuple(BidAskLevel(6_815.0 - i / 4, 40 + i, 6_815.25 + i / 4, 20 + i) for i in range(10))
SCHEDULE = Schedule(T0, T0 + 10 * MINUTE, 61_859, Speed(10.0))
SNAPSHOT = Snapshot(
    scene=Scene("2025-12-16", "trades + mbp-10 of ES", True, "embedded", "MARKET_DATA", SCHEDULE),
    summary=RunSummary(
        run_id="3kq7",
        events=EventCounts(read=1_300, published=1_000, acked=990, by_subject={}),
        delivery=DeliveryFigures(
            "per message", 10, "MARKET_DATA", 1, 990, payload_bytes=31_000_000, ack_ms=Percentiles(1.1, 4.0)
        ),
        timing=Timing(1, None, 6 * SECOND, MINUTE, 10.0, 10.0, 166.0),
        details=ReplayDetails(records=1_300, held=300),
        complete=False,
    ),
    position=Position(T0 + MINUTE + 7 * SECOND, wall_ns=6_700_000_000, left_ns=53_300_000_000, share=0.1117),
    speed=SpeedNow(Speed(10.0), 9.98, 0),
    subjects=[
        Subject("futures.mbp10", 900, 90, 400, (80.0, 90.0)),
        Subject("futures.trades", 100, 10, 60, (20.0, 10.0)),
    ],
    market=MarketNow(
        book=MBP10(T0, T0, EventSource.DIRECT_FEED, "ES", LEVELS),
        trade=FuturesTrade(T0, T0, EventSource.DIRECT_FEED, "ES", 6_815.25, 3, Aggressor.BUY),
        prices=(6_815.125,) * (BINS // 8) + (6_816.5,) * (BINS // 8) + (None,) * (BINS - 2 * (BINS // 8)),
        tape=[
            FuturesTrade(
                T0 + i * MS,
                T0,
                EventSource.DIRECT_FEED,
                "ES",
                6_815.25 - i / 4,
                3 + i,
                (Aggressor.BUY, Aggressor.SELL, Aggressor.MID)[i % 3],
            )
            for i in range(40)
        ],
    ),
    total=Subject("all", 1_000, 100, 430, (100.0, 100.0)),
    server=ServerNow([Consumer("lake", 1_204, 0.7, 128)], ack_now_ms=1.5),
    density=(5.0,) * BINS,
    notes=[Note(T0, "the regular session opened", of_event=True)],
    warnings=0,
    usage=Usage(),
)


EXTREME = replace(
    SNAPSHOT,
    scene=Scene(
        "2025-12-14 … 2025-12-19", "trades + mbp-10 of ES.c.0, NQ.c.0, YM.c.0", True, "tls://nats.example.com:4222",
        "REHEARSAL_MARKET_DATA", Schedule(T0, T0 + 128 * HOUR, 9_876_543_210, Speed(999_999.0)),
    ),
    summary=RunSummary(
        run_id="3kq7",
        events=EventCounts(
            read=9_876_543_210, published=8_765_432_109, acked=8_765_423_917, by_subject={}, late=1_234_567,
            rejected_by_reason={"price": 2_345_678}, gaps=3_456,
        ),
        delivery=DeliveryFigures(
            "fast ingest", 8_192, "REHEARSAL_MARKET_DATA", 7_654_321_098, 16_419_745_015, reconnects=12_345,
            payload_bytes=6_543_210_987_654, ack_ms=Percentiles(987.6, 11_383.7),
        ),
        timing=Timing(1, None, 6 * SECOND, MINUTE, 999_999.0, 123_456.0, 166.0, 0, 87_654, 35 * HOUR),
        details=ReplayDetails(records=9_876_543_210, held=1_111_111_101),
        complete=False,
    ),
    position=Position(T0 + 71 * HOUR + 987 * SECOND, wall_ns=35 * HOUR, left_ns=28 * HOUR, share=0.999),
    speed=SpeedNow(Speed(999_999.0), 111_222.0, 43 * HOUR),
    subjects=[
        Subject("futures.mbp10", 7_654_321_098, 1_234_567, 2_345_678, (1_900_000.0, 2_345_678.0)),
        Subject("futures.trades", 1_111_111_011, 345_678, 456_789, (400_000.0, 456_789.0)),
    ],
    total=Subject("all", 8_765_432_109, 1_580_245, 2_802_467, (2_300_000.0, 2_802_467.0)),
    server=ServerNow(
        [Consumer("a-consumer-with-a-long-name", 9_876_543_210, 86_399.9, 1_234_567)] * 30, ack_now_ms=59_999.0
    ),
    density=(12_345_678.0,) * BINS,
    notes=[Note(T0, "stopping: 8,192 acks to come (Ctrl-C again leaves at once), and more than fits", "warning")] * 9,
    warnings=4_567,
    market=MarketNow(
    book=MBP10(T0, T0, EventSource.DIRECT_FEED, "ESZ5-ESH6",
               tuple(BidAskLevel(-123_456.75 - i, 876_543 + i, 123_457.25 + i, 765_432 + i) for i in range(10))),
    trade=FuturesTrade(T0, T0, EventSource.DIRECT_FEED, "ESZ5-ESH6", 123_456.75, 654_321, Aggressor.SELL),
    prices=(-123_456.75, 123_457.25) * (BINS // 2),
    tape=[
        OptionTrade(T0, T0, EventSource.POLYGON_WS, "SPXW", "O:SPXW251216C12345500", "2025-12-16", 12_345.5, "C",
                    123_456.75, 654_321, 98_765.25, 123_456.75, Aggressor.SELL),
        FuturesTrade(T0, T0, EventSource.DIRECT_FEED, "ESZ5-ESH6", -123_456.75, 654_321, Aggressor.BUY),
    ] * 20,
    ),
    usage=Usage(memory=12_345_678_901, cpu=123.4, drawing=0.987),
)  # fmt: skip


def lines(snapshot: Snapshot, width: int, height: int) -> list[str]:
    """Draw a snapshot as plain lines."""
    return lines_of(render(snapshot, width, height))


def changed(counts: dict[str, Any] | None = None, **fields: Any) -> Snapshot:
    """Return the usual snapshot with other counts and other fields."""
    summary = replace(SNAPSHOT.summary, events=replace(SNAPSHOT.summary.events, **(counts or {})))
    return replace(SNAPSHOT, summary=summary, **fields)
