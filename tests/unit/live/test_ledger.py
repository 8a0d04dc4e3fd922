"""received = published + rejected + duplicates + dropped + queued, at any moment."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from spyctl.live.backlog import Backlog
from spyctl.live.filter import LiveFilter
from spyctl.live.ledger import Ledger
from spyctl.live.sender import Sender, SenderTiming
from spyctl.live.strike_manager import StrikeManager
from spyctl.live.strike_window import StrikeWindow
from spyctl.live.windows import Windows
from spyctl.market.feeds import Arrival, Reject
from spyctl.timing.instants import SECOND
from tests.support.clock import WALL_NS, FakeClock
from tests.support.events import quote, trade
from tests.support.sinks import RecordingSink

KINDS = st.sampled_from(["trade", "quote", "again", "other", "reject", "send"])


@settings(deadline=None)
@given(st.lists(KINDS, max_size=80), st.integers(3, 20))
def test_the_equation_holds_after_every_step(steps: list[str], max_events: int) -> None:
    clock = FakeClock()
    taken = LiveFilter(Windows([StrikeWindow(StrikeManager(5), WALL_NS)]), lambda _: None)
    sender = Sender(Backlog(max_events), RecordingSink(), clock, SenderTiming())
    ledger = Ledger(taken, sender, clock)

    async def play() -> None:
        for n, step in enumerate(steps):
            if step == "send":
                await sender.send_waiting()
            else:
                events = {"trade": [trade(seq=n)], "quote": [quote(seq=n)], "again": [trade(seq=0)] * 2}
                rejects = [Reject("bad", "")] if step == "reject" else []
                chosen = events.get(step, [trade(symbol="QQQ", seq=n)] if step == "other" else [])
                arrival = Arrival("stocks", [(event, f"id {event.seq}") for event in chosen], rejects, (), n)
                for pending in taken.take(arrival):
                    sender.append(pending)
            parts = ledger.published + ledger.rejected + ledger.duplicates + ledger.dropped
            assert ledger.received == parts + len(sender.backlog)
            assert ledger.queued == len(sender.backlog)
            assert ledger.acked == ledger.published
        await sender.send_waiting()
        assert ledger.queued == 0

    asyncio.run(play())


def test_what_the_stream_had_before_is_a_duplicate_and_acked_never_goes_back() -> None:
    clock = FakeClock()
    taken = LiveFilter(Windows([StrikeWindow(StrikeManager(5), WALL_NS)]), lambda _: None)
    sender = Sender(Backlog(), RecordingSink(), clock, SenderTiming())
    ledger = Ledger(taken, sender, clock)
    delivery = sender.sink.delivery
    taken.received = sender.sent = delivery.published = delivery.acked = 10
    delivery.known = 3
    assert (ledger.published, ledger.duplicates, ledger.acked, ledger.queued) == (7, 3, 7, 0)
    delivery.published = 12  # two gap records are in flight
    assert ledger.acked == 7


def test_the_time_of_a_run_stands_still_once_it_has_ended() -> None:
    clock = FakeClock()
    taken = LiveFilter(Windows([StrikeWindow(StrikeManager(5), WALL_NS)]), lambda _: None)
    ledger = Ledger(taken, Sender(Backlog(), RecordingSink(), clock, SenderTiming()), clock)
    ledger.begin()
    clock.advance(5 * SECOND)
    clock.step_wall(-3_600 * SECOND)
    assert ledger.wall_ns == 5 * SECOND
    ledger.end()
    clock.advance(5 * SECOND)
    assert (ledger.wall_ns, ledger.started_ns) == (5 * SECOND, WALL_NS)
