"""What arrives, waits, is lost and comes again, on its way to the backlog."""

from collections.abc import Callable

import pytest

from spyctl.live.aggressors import QuoteUse
from spyctl.live.session import LiveOptions, LiveSession
from spyctl.market.events import Event, EventSource, OptionTrade
from spyctl.market.feeds import Arrival, LiveEvent
from spyctl.market.sessions import current_expiry
from spyctl.market.subjects import decode
from spyctl.timing.instants import HOUR, MINUTE, MS
from tests.support.clock import WALL_NS, FakeClock
from tests.support.events import option_quote, option_trade
from tests.support.live import still_session

EXPIRY, _ = current_expiry(WALL_NS)
TOPICS = {f"T.{option_trade(expiry=EXPIRY).option_symbol}", f"Q.{option_trade(expiry=EXPIRY).option_symbol}"}


def arrival(*events: LiveEvent) -> Arrival:
    return Arrival("options", [(event, f"{type(event).__name__}.{event.seq}") for event in events], (), (), 0)


def make(use: QuoteUse = QuoteUse.CLASSIFY) -> tuple[LiveSession, Callable[[], list[Event]]]:
    session = still_session(FakeClock(), options=LiveOptions(quotes=use))
    return session, lambda: [decode(each.subject, each.payload) for each in session.sender.backlog.take(99)]


def sides(events: list[Event]) -> list[int]:
    return [event.aggressor for event in events if isinstance(event, OptionTrade)]


def test_without_quotes_a_trade_passes_as_it_came() -> None:
    session, passed_on = make(QuoteUse.NONE)
    trade = option_trade(expiry=EXPIRY, seq=1)
    session.intake.take(arrival(option_quote(expiry=EXPIRY, seq=1), trade))
    assert passed_on() == [trade]
    assert (session.ledger.received, session.filter.aggressors.quotes) == (1, 0)


def test_a_trade_waits_and_is_queued_meanwhile() -> None:
    session, passed_on = make()
    quote = option_quote(expiry=EXPIRY, bid_px=1.9, ask_px=2.0)
    session.intake.take(arrival(quote, option_trade(expiry=EXPIRY, price=2.0)))
    assert passed_on() == []
    assert (session.ledger.received, session.ledger.queued) == (1, 1)  # an unpublished quote is no event of ours
    for tick in (1, 2, 3):
        session.intake.look(tick * 60 * MS)
    assert sides(passed_on()) == [1]


def test_what_waits_is_passed_on_when_the_feed_is_lost_and_the_quotes_are_forgotten() -> None:
    session, passed_on = make()
    quote = option_quote(expiry=EXPIRY, bid_px=1.9, ask_px=2.0)
    session.intake.take(arrival(quote, option_trade(expiry=EXPIRY, price=2.0, seq=1)))
    session.intake.lost("stocks", {"T.SPY", "Q.SPY"})
    assert passed_on() == []
    session.intake.lost("options", TOPICS)
    session.intake.take(arrival(option_trade(expiry=EXPIRY, price=2.0, seq=2)))
    session.intake.flush()
    assert sides(passed_on()) == [1, 0]


def test_published_quotes_are_events_and_those_of_others_are_rejected() -> None:
    session, passed_on = make(QuoteUse.PUBLISH)
    mine, theirs = option_quote(expiry=EXPIRY, seq=1), option_quote(expiry=EXPIRY.replace(year=2020), seq=2)
    session.intake.take(arrival(mine, mine, theirs))
    assert passed_on() == [mine]
    taken = session.filter
    assert (taken.received, taken.duplicates, taken.rejected) == (3, 1, {"unexpected": 1})


@pytest.mark.parametrize("use", QuoteUse)
def test_quotes_of_others_are_of_no_use(use: QuoteUse) -> None:
    session, _ = make(use)
    session.intake.take(arrival(option_quote(expiry=EXPIRY.replace(year=2020), seq=2)))
    assert session.filter.aggressors.quotes == 0


def test_trades_of_a_gap_have_no_quote_and_do_not_wait() -> None:
    session, passed_on = make()
    quote = option_quote(expiry=EXPIRY, bid_px=1.9, ask_px=2.0)
    session.intake.take(arrival(quote, option_trade(expiry=EXPIRY, price=2.0, source=EventSource.POLYGON_REST)))
    assert sides(passed_on()) == [0]


def test_a_delayed_feed_has_the_window_of_its_own_time() -> None:
    end_ns = WALL_NS + 6 * HOUR + 45 * MINUTE  # 16:15 New York
    clock = FakeClock(wall_ns=end_ns)
    session = still_session(clock, options=LiveOptions(delay_ns=15 * MINUTE))
    session.windows.first.tick(clock.time_ns() - 15 * MINUTE, clock.now_ns())
    assert session.windows.first.manager.expiry == EXPIRY
    clock.advance(15 * MINUTE)
    session._follow_window(session._now())
    assert session.windows.first.manager.expiry > EXPIRY
