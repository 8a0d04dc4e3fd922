"""What a snapshot looks like: every line fits, and the figures are in it."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from spyctl.bus.consumers import Consumer
from spyctl.market.events import MBP10, Aggressor, BidAskLevel, EventSource, FuturesTrade
from spyctl.replay.control import PlayState
from spyctl.replay.schedule import Schedule
from spyctl.replay.screen import progress_line, render
from spyctl.replay.snapshot import BINS, ControlNow, Position, Scene, Snapshot, SpeedNow, Subject
from spyctl.summary import DeliveryFigures, EventCounts, ReplayDetails, RunSummary, Timing
from spyctl.terminal.panels import ServerNow
from spyctl.terminal.process import Usage
from spyctl.timing.clock import MAX_SPEED, Speed
from spyctl.timing.histogram import Percentiles
from spyctl.timing.instants import HOUR, MINUTE, SECOND
from spyctl.timing.notes import Note
from tests.support.frames import SIZES, assert_whole, lines_of
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
    total=Subject("all", 1_000, 100, 430, (100.0, 100.0)),
    book=MBP10(T0, T0, EventSource.DIRECT_FEED, "ES", LEVELS),
    trade=FuturesTrade(T0, T0, EventSource.DIRECT_FEED, "ES", 6_815.25, 3, Aggressor.BUY),
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
    book=MBP10(T0, T0, EventSource.DIRECT_FEED, "ESZ5-ESH6",
               tuple(BidAskLevel(-123_456.75 - i, 876_543 + i, 123_457.25 + i, 765_432 + i) for i in range(10))),
    trade=FuturesTrade(T0, T0, EventSource.DIRECT_FEED, "ESZ5-ESH6", 123_456.75, 654_321, Aggressor.SELL),
    server=ServerNow(
        [Consumer("a-consumer-with-a-long-name", 9_876_543_210, 86_399.9, 1_234_567)] * 30, ack_now_ms=59_999.0
    ),
    density=(12_345_678.0,) * BINS,
    notes=[Note(T0, "stopping: 8,192 acks to come (Ctrl-C again leaves at once), and more than fits", "warning")] * 9,
    warnings=4_567,
    usage=Usage(memory=12_345_678_901, cpu=123.4, drawing=0.987),
)  # fmt: skip


def lines(snapshot: Snapshot, width: int, height: int) -> list[str]:
    return lines_of(render(snapshot, width, height))


def changed(counts: dict[str, Any] | None = None, **fields: Any) -> Snapshot:
    summary = replace(SNAPSHOT.summary, events=replace(SNAPSHOT.summary.events, **(counts or {})))
    return replace(SNAPSHOT, summary=summary, **fields)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(
    "snapshot",
    [
        SNAPSHOT,
        changed(book=None, trade=None, server=ServerNow(), notes=[]),
        changed(position=Position(None), subjects=[]),
        changed(speed=SpeedNow(MAX_SPEED, None, 0)),
    ],
    ids=["usual", "without a book", "before the first event", "max"],
)
def test_a_frame_fits_its_terminal(snapshot: Snapshot, size: tuple[int, int]) -> None:
    assert_whole(partial(render, snapshot), *size)
    assert "2025-12-16   ▶ playing" in lines(snapshot, *size)[0]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_no_figure_is_cut_at_any_size(size: tuple[int, int]) -> None:
    assert_whole(partial(render, EXTREME), *size)


def test_the_smallest_terminal_keeps_what_matters_most() -> None:
    drawn = "\n".join(lines(SNAPSHOT, 40, 12))
    for text in ("▶ playing", "09:31:07.000 New York", "11 %", "achieved 10.00×", "behind 0 ms", "published 1,000",
                 "late 0", "the regular session opened"):  # fmt: skip
        assert text in drawn


def test_figures_keep_their_columns_while_they_grow() -> None:
    few = lines(changed({"read": 7, "published": 5, "acked": 1}), 80, 24)
    many = lines(changed({"read": 61_859, "published": 61_859, "acked": 61_859}), 80, 24)
    labels = ("published", "acked", "in flight")
    columns = [[next(line for line in drawn if "published" in line).index(label) for label in labels]
               for drawn in (few, many)]  # fmt: skip
    assert columns[0] == columns[1]


def test_the_figures_stand_on_the_screen() -> None:
    drawn = "\n".join(lines(SNAPSHOT, 80, 24))
    for text in (
        "09:31:07.000 New York", "14:31:07.000 UTC", "1 m 07 s after the open", "11 %", "6.7 s of 1 m 00 s",
        "asked 10×   achieved 10.00×    now 9.98×     behind 0 ms", "left 53.3 s",
        "futures.mbp10         900       90      400", "all                 1,000      100      430",
        "ES   last 6,815.25 × 3 ▲ buy", "spread 0.25", "read 1,300", "held 300", "in flight 10", "seq 1 to 990",
        "ack now 1.5 ms", "p50 1.1 ms", "p99 4.0 ms", "the regular session opened",
        "run 3kq7   NATS embedded", "lake 1,204 behind",
    ):  # fmt: skip
        assert text in drawn


def test_the_wide_screen_names_its_parts() -> None:
    drawn = "\n".join(lines(SNAPSHOT, 140, 40))
    for text in (
        "╭─ where we are",
        "╭─ ES book",
        "╭─ delivery",
        "╭─ consumers",
        "warnings 0",
        "this process",
        "in 10 bids",
    ):
        assert text in drawn


def test_what_is_wrong_shows_its_count() -> None:
    drawn = "\n".join(lines(changed({"late": 3, "rejected_by_reason": {"price": 2}, "gaps": 1}), 80, 24))
    assert "late 3   rejected 2   gaps 1" in drawn


@pytest.mark.parametrize("size", [(80, 24), (140, 40)], ids=str)
def test_alarms_have_a_colour_and_a_word(size: tuple[int, int]) -> None:
    timing = replace(SNAPSHOT.summary.timing, stalls=2, stalled_ns=12 * SECOND)
    summary = replace(SNAPSHOT.summary, timing=timing)
    snapshot = replace(
        SNAPSHOT, summary=summary, server=ServerNow([Consumer("lake", 1_204, 12.0, 0)], True, 11 * SECOND, 143.0),
        speed=SpeedNow(Speed(10.0), 0.0, 11 * SECOND, "NATS"),
    )  # fmt: skip
    drawn = render(snapshot, *size)
    styles = {drawn.plain[span.start : span.end].strip(): span.style for span in drawn.spans}
    assert styles["143 ms slow"] == "yellow"
    assert styles["◌ waiting for NATS, 11 s"] == styles["11.0 s (NATS)"] == "red"
    assert "far behind" in drawn.plain
    assert {style for text, style in styles.items() if text.startswith("2")} >= {"red"}


@pytest.mark.parametrize(("state", "text"), [(PlayState.PLAYING, "▶ playing"), (PlayState.FINISHING, "■ finishing")])
def test_each_state_has_its_sign(state: PlayState, text: str) -> None:
    assert text in lines(changed(control=ControlNow(state)), 80, 24)[0]


def test_a_server_that_stores_nothing_shows_with_how_far_that_puts_the_replay_behind() -> None:
    waiting = changed(
        server=ServerNow((), waiting_ns=3_400_000_000), speed=SpeedNow(Speed(10.0), 0.0, 3_400_000_000, "NATS")
    )
    drawn = render(waiting, 80, 24)
    assert "◌ waiting for NATS, 3 s" in drawn.plain
    assert "behind 3.4 s (NATS)" in drawn.plain
    assert {drawn.plain[span.start : span.end] for span in drawn.spans if span.style == "yellow"} == {
        "◌ waiting for NATS, 3 s", "3.4 s (NATS)",
    }  # fmt: skip
    assert (
        "■ finishing, waiting for NATS, 3 s"
        in render(replace(waiting, control=ControlNow(PlayState.FINISHING)), 80, 24).plain
    )
    assert progress_line(waiting).endswith("behind 3.4 s  waiting for NATS, 3 s")


def test_a_plan_of_several_days_has_its_date_with_each_time() -> None:
    scene = replace(SNAPSHOT.scene, schedule=Schedule(T0, T0 + 128 * HOUR, 9, Speed(10.0)))
    for size in ((40, 12), (80, 24), (140, 40)):
        assert "16 Dec 09:31:07.000 New York" in "\n".join(lines(changed(scene=scene), *size))
    quiet = Position(T0, quiet_to_ns=T0 + 24 * HOUR, quiet_left_ns=5 * SECOND)
    assert "quiet to 17 Dec 09:30:00" in lines(changed(scene=scene, position=quiet), 80, 24)[2]
    assert progress_line(changed(scene=scene)).startswith("event 16 Dec 09:31:07 New York")
    assert "Dec 09:31" not in "\n".join(lines(SNAPSHOT, 80, 24))


def test_a_last_sequence_is_shown_only_when_it_is_that_of_what_is_acked() -> None:
    delivery = replace(SNAPSHOT.summary.delivery, first_seq=895, last_seq=1_884)
    for last_seq, text in ((1_884, "seq 895 to 1,884"), (1_700, "seq from 895")):
        summary = replace(SNAPSHOT.summary, delivery=replace(delivery, last_seq=last_seq))
        for size in ((80, 24), (140, 40)):
            assert text in "\n".join(lines(replace(SNAPSHOT, summary=summary), *size))


def test_a_percentage_is_never_ahead_of_what_is_done() -> None:
    assert " 99 %" in "\n".join(lines(changed(position=Position(T0, share=0.9999)), 80, 24))


def test_at_max_speed_the_rate_takes_the_place_of_now_and_behind() -> None:
    drawn = "\n".join(lines(changed(speed=SpeedNow(MAX_SPEED, 700.0, 0)), 80, 24))
    assert "asked max   achieved 10.00×    100 events/s" in drawn
    assert "behind 0 ms" not in drawn


def test_a_quiet_stretch_says_where_it_ends_and_when() -> None:
    quiet = Position(T0, quiet_to_ns=T0 + HOUR, quiet_left_ns=5 * SECOND, wall_ns=SECOND)
    assert "quiet to 10:30:00, in 5.0 s" in lines(changed(position=quiet), 80, 24)[2]


def test_the_plain_line_names_trouble_only_where_there_is_some() -> None:
    usual = "event 09:31:07 New York  11 %  published 1,000  acked 990  achieved 10.00×"
    assert progress_line(SNAPSHOT) == usual
    troubled = changed({"late": 2}, speed=SpeedNow(Speed(10.0), 5.0, 1_200_000_000))
    assert progress_line(troubled) == f"{usual}  late 2  behind 1.2 s"
    assert progress_line(changed(position=Position(None))) == "waiting for the first event"
