"""Gap records: one opens, one closes, under one id, whatever is told how often."""

from hypothesis import given
from hypothesis import strategies as st

from spyctl.live.gaps import RECENT, TRANSITIONS, GapEvent, Gaps, GapState
from spyctl.market.events import EventSource, Gap


def test_a_gap_opens_once_and_closes_under_the_same_id() -> None:
    gaps = Gaps(EventSource.SIM)
    opened = gaps.open("stocks", 5, 9, "reset")
    assert opened is not None
    assert gaps.open("stocks", 6, 10, "again") is None
    closed = gaps.close("stocks", 20, 21, events=3)
    assert closed is not None
    assert (opened.feed, opened.from_ns, opened.to_ns, opened.reason) == ("stocks", 5, None, "reset")
    assert (closed.gap_id, closed.from_ns, closed.to_ns, closed.events) == (opened.gap_id, 5, 20, 3)
    assert gaps.close("stocks", 22, 23) is None
    assert gaps.count == 1


def test_the_last_closed_ones_are_kept_and_those_that_lack_nothing_counted() -> None:
    gaps = Gaps(EventSource.SIM)
    for number in range(RECENT + 3):
        gaps.open("stocks", number, number, "reset")
        gaps.close("stocks", number, number, events=number % 2 or None if number else 0)
    assert [gap.from_ns for gap in gaps.recent] == list(range(3, RECENT + 3))
    assert (gaps.count, gaps.filled) == (RECENT + 3, 1)


def test_a_gap_never_ends_before_it_began() -> None:
    gaps = Gaps(EventSource.SIM)
    gaps.open("stocks", 100, 100, "reset")
    closed = gaps.close("stocks", 50, 101)
    assert closed is not None
    assert closed.to_ns == 100


@given(st.lists(st.tuples(st.sampled_from(["stocks", "options", "nats"]), st.booleans()), max_size=60))
def test_records_of_a_feed_alternate_between_open_and_closed(moves: list[tuple[str, bool]]) -> None:
    gaps, records = Gaps(EventSource.SIM), []
    for ns, (feed, lost) in enumerate(moves):
        record = gaps.open(feed, ns, ns, "why") if lost else gaps.close(feed, ns, ns)
        records += [record] if record is not None else []
    by_feed: dict[str, list[Gap]] = {}
    for record in records:
        by_feed.setdefault(record.feed, []).append(record)
    for of_feed in by_feed.values():
        assert [record.to_ns is None for record in of_feed] == [n % 2 == 0 for n in range(len(of_feed))]
        pairs = zip(of_feed[::2], of_feed[1::2], strict=False)
        assert all(opened.gap_id == closed.gap_id for opened, closed in pairs)
    assert gaps.count == sum(record.to_ns is None for record in records)
    assert len(gaps.recent) <= RECENT
    assert set(gaps.open_now) == {feed for feed, of_feed in by_feed.items() if of_feed[-1].to_ns is None}


def test_what_is_not_sent_again_leaves_a_gap_open_and_the_next_loss_is_another() -> None:
    gaps = Gaps(EventSource.SIM)
    opened = gaps.open("futures", 5, 9, "reset")
    assert opened is not None
    settled = gaps.leave_open("futures", 20, 3)
    assert settled is not None
    assert (settled.gap_id, settled.to_ns, settled.events, settled.ts_recv_ns) == (opened.gap_id, None, 3, 20)
    assert gaps.leave_open("futures", 21, 3) is None
    assert gaps.close("futures", 22, 22) is None
    assert (gaps.left_open, gaps.open_now) == ([settled], {})
    again = gaps.open("futures", 30, 31, "reset")
    assert again is not None
    assert again.gap_id != opened.gap_id


def test_a_feed_may_have_a_source_of_its_own() -> None:
    gaps = Gaps(EventSource.POLYGON_WS, {"futures": EventSource.DATABENTO_LIVE})
    opened = [gaps.open(feed, 1, 1, "reset") for feed in ("stocks", "futures")]
    assert [gap.source for gap in opened if gap is not None] == ["polygon_ws", "databento_live"]


def test_the_table_covers_every_state_and_event() -> None:
    assert set(TRANSITIONS) == {(state, event) for state in GapState for event in GapEvent}
