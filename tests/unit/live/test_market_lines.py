"""What the live screen says of each feed, of the spot and of the futures."""

from dataclasses import replace

from spyctl.live.market_lines import feed_line, futures_line, spot_chart, spot_line
from spyctl.live.snapshot import FuturesNow
from spyctl.market.feeds import FeedState
from tests.support.live_screen import busy
from tests.support.replay_screen import SNAPSHOT


def test_a_feed_says_its_state_and_how_much_it_holds() -> None:
    feed = replace(busy().feeds[0], state=FeedState.UP, up_s=72.0, topics="T.SPY", held=1, desired=2, quiet_s=0.03)
    line = feed_line(feed, 90)
    assert " ".join(line.plain.split()) == "stocks ● up 1 m 12 s T.SPY 1 of 2 subscribed 30 ms ago"
    assert {line.plain[span.start : span.end] for span in line.spans if span.style == "yellow"} == {
        "1 of 2 subscribed"
    }  # fmt: skip


def test_a_spot_without_a_sound_quote_says_how_old_it_is() -> None:
    old = replace(busy(), spot=replace(busy().spot, age_s=75.0))
    assert "1 m 15 s old, no sound quote since" in spot_line(old, 98).plain
    assert "waiting for the first quote" in spot_line(replace(old, spot=replace(old.spot, price=None)), 98).plain


def test_the_side_of_the_last_future_has_a_colour() -> None:
    line = futures_line(FuturesNow(SNAPSHOT.market.trade, SNAPSHOT.market.book, 7), 98)
    assert "6,815.25 ▲" in line.plain
    assert "sent again 7" in line.plain
    assert {line.plain[span.start : span.end] for span in line.spans if span.style == "green"} == {" ▲"}
    assert "waiting for the first book" in futures_line(FuturesNow(None, None, 0), 98).plain


def test_the_spot_over_time_has_the_scale_of_the_run() -> None:
    spot = replace(busy().spot, history=(680.0, 681.0), lowest=679.2, highest=681.0)
    drawn = [line.plain for line in spot_chart(spot, 30, 4)]
    assert [row.split()[0] for row in (drawn[0], drawn[-1])] == ["681.00", "679.00"]
    assert len(drawn) == 4
    assert max(map(len, drawn)) <= 30
    assert spot_chart(replace(spot, history=()), 30, 4) == []
