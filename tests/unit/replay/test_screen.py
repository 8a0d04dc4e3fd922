"""What a snapshot looks like: every line fits, and the figures are in it."""

from dataclasses import replace
from functools import partial

import pytest

from spyctl.bus.consumers import Consumer
from spyctl.replay.control import PlayState
from spyctl.replay.screen import progress_line, render
from spyctl.replay.snapshot import ControlNow, MarketNow, Position, Snapshot, SpeedNow, Subject
from spyctl.terminal.panels import ServerNow
from spyctl.timing.clock import MAX_SPEED, Speed
from spyctl.timing.instants import SECOND
from tests.support.frames import SIZES, assert_whole
from tests.support.replay_screen import EXTREME, SNAPSHOT, changed, lines


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(
    "snapshot",
    [
        SNAPSHOT,
        changed(market=MarketNow(), server=ServerNow(), notes=[]),
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
        "memory",
        "in 10 bids",
    ):
        assert text in drawn


@pytest.mark.parametrize(("size", "tape"), [((120, 40), False), ((140, 40), True), ((200, 50), True)], ids=str)
def test_a_wide_screen_has_a_price_line_a_ladder_with_headings_and_a_tape(size: tuple[int, int], *, tape: bool) -> None:
    drawn = lines(SNAPSHOT, *size)
    text = "\n".join(drawn)
    assert "mid price, and events per second of event time" in drawn[1]
    assert "   6,816.50 " in drawn[3]
    assert any(row.split() == ["size", "bid", "ask", "size"] for row in text.replace("│", "\n").split("\n")) or (
        "depth  size       bid         ask  size   depth" in text
    )
    assert ("09:30:00.000 6,815.25     3 ▲ buy" in text) == tape
    assert "stored by NATS" in text
    assert "sorted, not yet due" in text


def test_a_wide_screen_uses_every_column_and_line() -> None:
    for size in ((120, 35), (140, 40), (200, 50), (240, 70)):
        drawn = lines(SNAPSHOT, *size)
        assert len(drawn) == size[1]
        assert {len(row) for row in drawn[1:-1]} == {size[0]}


def test_a_wide_title_says_what_is_played() -> None:
    assert "synthetic   trades + mbp-10 of ES" in lines(SNAPSHOT, 140, 40)[0]
    assert "mbp-10" not in lines(SNAPSHOT, 80, 24)[0]


def test_names_of_consumers_are_whole_where_there_is_room() -> None:
    names = [Consumer("strategy-engine-of-risk-desk", 5, 0.1, 0)]
    assert names[0].name in "\n".join(lines(changed(server=ServerNow(names)), 140, 40))


def test_what_has_no_book_gives_its_room_to_the_tape() -> None:
    stocks = [Subject("stocks.trades", 5, 1, 2, ())]
    text = "\n".join(lines(changed(subjects=stocks, market=MarketNow()), 140, 40))
    assert "book" not in text
    assert "last trades" in text


def test_many_subjects_on_a_low_screen_are_drawn_without_boxes() -> None:
    many = [Subject(f"subject.{i}", 5, 1, 2, ()) for i in range(9)]
    drawn = lines(changed(subjects=many), 120, 35)
    assert len(drawn) <= 35
    assert "╭" not in "".join(drawn)


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


def test_at_max_speed_the_rate_takes_the_place_of_now_and_behind() -> None:
    drawn = "\n".join(lines(changed(speed=SpeedNow(MAX_SPEED, 700.0, 0)), 80, 24))
    assert "asked max   achieved 10.00×    100 events/s" in drawn
    assert "behind 0 ms" not in drawn


def test_the_plain_line_names_trouble_only_where_there_is_some() -> None:
    usual = "event 09:31:07 New York  11 %  published 1,000  acked 990  achieved 10.00×"
    assert progress_line(SNAPSHOT) == usual
    troubled = changed({"late": 2}, speed=SpeedNow(Speed(10.0), 5.0, 1_200_000_000))
    assert progress_line(troubled) == f"{usual}  late 2  behind 1.2 s"
    assert progress_line(changed(position=Position(None))) == "waiting for the first event"
