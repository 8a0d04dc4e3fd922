"""The live screen fits every terminal, whatever the figures."""

from dataclasses import replace
from functools import partial

import pytest

from spyctl.live.screen import progress_line, render
from spyctl.live.snapshot import FuturesNow, LiveScene
from spyctl.live.view import LiveView
from spyctl.summary import Waiting
from spyctl.terminal.panels import ServerNow
from spyctl.timing.instants import SECOND
from tests.support.frames import SIZES, assert_whole
from tests.support.live import still_session
from tests.support.live_screen import busy, extreme
from tests.support.replay_screen import SNAPSHOT


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_every_line_fits_and_there_are_never_too_many(size: tuple[int, int]) -> None:
    assert_whole(partial(render, None, busy()), *size)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_no_figure_is_cut_at_any_size(size: tuple[int, int]) -> None:
    snapshot = extreme()
    earlier = replace(snapshot, clock_ns=snapshot.clock_ns - 2 * SECOND, summary=busy().summary)
    assert_whole(partial(render, earlier, snapshot), *size)
    assert_whole(partial(render, earlier, replace(snapshot, notes=[])), *size)


def test_the_smallest_terminal_keeps_what_matters_most() -> None:
    drawn = render(None, replace(busy(), notes=[]), 40, 12).plain
    for text in ("◌ reconnecting", "options", "SPY", "680.01", "► 680 ◄", "acked 0", "dropped 0", "gaps 1"):
        assert text in drawn


def test_the_window_is_a_table_with_the_centre_marked_and_totals() -> None:
    drawn = render(None, busy(), 80, 24).plain
    assert "► 680 ◄" in drawn
    assert f"{11 * 123_456:,}" in drawn
    assert "±5 of 680.00" in drawn


def test_alarms_have_a_colour_and_a_word() -> None:
    snapshot = busy()
    details = replace(snapshot.summary.details, waiting=Waiting(40_000))
    drawn = render(
        None,
        replace(
            snapshot, summary=replace(snapshot.summary, details=details), arrival_now_ms=600.0,
            server=ServerNow((), True, 11 * SECOND, 1_500.0),
        ),
        100,
        24,
    )  # fmt: skip
    styles = {drawn.plain[span.start : span.end]: span.style for span in drawn.spans}
    assert styles["600 ms slow"] == "yellow"
    assert styles["1.5 s very slow"] == styles["40,000 nearly full"] == styles[snapshot.state] == "red"


def test_what_waits_on_disk_is_shown_and_is_no_reason_for_alarm() -> None:
    snapshot = busy()
    details = replace(snapshot.summary.details, waiting=Waiting(80_000, 79_500))
    drawn = render(None, replace(snapshot, summary=replace(snapshot.summary, details=details)), 100, 24).plain
    assert "queued 80,000" in drawn
    assert "on disk 79,500" in drawn
    assert "full" not in drawn


def test_rates_come_from_two_snapshots() -> None:
    then = busy()
    events = replace(then.summary.events, by_subject=dict.fromkeys(then.summary.events.by_subject, 50))
    now = replace(then, clock_ns=then.clock_ns + 2 * SECOND, summary=replace(then.summary, events=events))
    assert "25/s" in render(then, now, 80, 24).plain
    assert "/s" not in render(None, then, 80, 24).plain


def test_before_the_first_quote_the_screen_says_what_it_waits_for() -> None:
    session = still_session()
    snapshot = LiveView(session, LiveScene("live", "embedded"), "MARKET_DATA", lambda: ()).snapshot()
    drawn = render(None, snapshot, 80, 24).plain
    assert "waiting for the first quote" in drawn
    assert "opens with the first spot" in drawn


def test_one_line_says_how_it_goes_and_names_trouble_only_where_there_is_some() -> None:
    line = progress_line(busy())
    assert "stocks up  options reconnecting" in line
    assert "received 13  acked 0" in line
    assert "gaps 1" in line
    assert "rejected" not in line


def test_other_windows_have_a_line_of_their_own() -> None:
    snapshot = busy()
    assert "also " not in str(render(None, snapshot))
    several = replace(snapshot, window=replace(snapshot.window, others="QQQ 505.20 500 to 510 of 16 Dec"))
    assert "QQQ 505.20 500 to 510 of 16 Dec" in str(render(None, several))


@pytest.mark.parametrize("size", [(130, 30), (140, 40), (200, 50), (240, 70)], ids=str)
def test_a_wide_screen_uses_every_column_and_line(size: tuple[int, int]) -> None:
    lines = render(None, busy(), *size).plain.split("\n")
    assert len(lines) == size[1]
    assert {len(line) for line in lines[1:-1]} == {size[0]}


def test_a_wide_screen_has_tape_quotes_and_the_spot_over_time() -> None:
    snapshot = busy()
    drawn = render(None, snapshot, 140, 40).plain
    assert "1.95 × 2.05" in drawn
    assert "680 C" in drawn[drawn.index("last trades") :]
    assert "╭─ SPY ─" in drawn
    assert "bid × ask" not in render(None, snapshot, 80, 24).plain


def test_a_wide_screen_shows_the_book_of_the_futures() -> None:
    book = SNAPSHOT.market.book
    feed = replace(busy().feeds[0], name="futures", futures=FuturesNow(SNAPSHOT.market.trade, book, 0))
    drawn = render(None, replace(busy(), feeds=[*busy().feeds, feed]), 140, 40).plain
    assert "╭─ ES book" in drawn
    assert "size       bid         ask  size" in drawn


def test_options_of_an_index_show_their_spot_without_a_stock_feed() -> None:
    snapshot = busy()
    options = [feed for feed in snapshot.feeds if feed.name == "options"]
    alone = replace(snapshot, feeds=options)
    assert "SPY" in render(None, alone, 100, 24).plain.splitlines()[3]
    assert "SPY 680.01" in progress_line(alone)


def test_gaps_are_an_alarm_only_where_something_is_missing() -> None:
    def colours(filled: int) -> set[str]:
        snapshot = busy()
        events = replace(snapshot.summary.events, gaps=2, gaps_filled=filled)
        drawn = render(None, replace(snapshot, summary=replace(snapshot.summary, events=events)), 100, 24)
        at = drawn.plain.index("gaps 2") + 5
        return {str(span.style) for span in drawn.spans if span.start <= at < span.end}

    assert colours(1) - colours(2)
