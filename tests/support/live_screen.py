"""The live side at one moment, as its screens are drawn from it: a busy one, and one with the widest figures."""

from dataclasses import replace

from spyctl.bus.consumers import Consumer
from spyctl.live.feed_policy import equity_policies
from spyctl.live.snapshot import LiveScene, LiveSnapshot
from spyctl.live.view import LiveView
from spyctl.market.events import OptionTrade
from spyctl.market.feeds import Arrival, FeedState
from spyctl.summary import Waiting
from spyctl.terminal.panels import ServerNow
from spyctl.timing.histogram import Percentiles
from spyctl.timing.instants import SECOND
from tests.support.clock import FakeClock
from tests.support.events import option_trade, quote, trade
from tests.support.live import StillFeed, still_session


def busy() -> LiveSnapshot:
    """Return a moment with trades, quotes and a lost feed."""
    clock = FakeClock()
    session = still_session(clock)
    feeds = StillFeed(), StillFeed(name="options", state=FeedState.RECONNECTING)
    session.policies = {policy.feed.name: policy for policy in equity_policies(*feeds, session.windows)}
    session.arrived(Arrival("stocks", [(quote(seq=1), "Q"), (trade(seq=2), "T")], (), (), clock.now_ns()))
    session.windows.first.tick(clock.time_ns(), clock.now_ns())
    prints = [(option_trade(strike, size=123_456, seq=strike), f"{strike}") for strike in range(675, 686)]
    session.arrived(Arrival("options", prints, (), (), clock.now_ns()))
    session.intake.flush()
    session.lost("options", clock.time_ns() - 90 * SECOND, "connection lost (ConnectionResetError)", 0)
    scene = LiveScene("live", "nats://a-server-with-a-long-name:4222")
    snapshot = LiveView(session, scene, "MARKET_DATA", lambda: ()).snapshot()
    quotes = dict.fromkeys(snapshot.traded.prints, (1.95, 2.05))
    return replace(snapshot, traded=replace(snapshot.traded, quotes=quotes))


def extreme() -> LiveSnapshot:
    """A long day with many strikes, everything wrong, and names that are long."""
    snapshot = busy()
    summary, strikes = snapshot.summary, range(660, 701)
    events = replace(
        summary.events, read=9_876_543_210, published=8_765_432_109, acked=8_765_423_917, duplicates=1_234_567,
        rejected_by_reason={"price": 2_345_678}, dropped=3_456_789, gaps=4_567,
        by_subject=dict.fromkeys(summary.events.by_subject, 7_654_321_098),
    )  # fmt: skip
    delivery = replace(summary.delivery, last_seq=16_419_745_015, ack_ms=Percentiles(987.6, 11_383.7))
    details = replace(
        summary.details,
        received=9_876_543_210,
        waiting=Waiting(7_949_999, 7_900_000),
        latency_ms=Percentiles(876.5, 3_599_000.0),
    )
    return replace(
        snapshot,
        summary=replace(summary, events=events, delivery=delivery, details=details),
        spot=replace(snapshot.spot, price=123_456.78, history=(123_400.0, 123_456.78)),
        window=replace(snapshot.window, strikes=list(strikes), strike_range=20, added={685: 1.0}, leaving={674: 12.0}),
        traded=replace(
            snapshot.traded,
            volumes=dict.fromkeys(snapshot.traded.volumes, 987_654_321),
            counts=dict.fromkeys(snapshot.traded.counts, 87_654_321),
            quotes=dict.fromkeys(snapshot.traded.volumes, (123_456.78, 123_457.89)),
            tape=[
                replace(last, size=987_654_321, price=123_456.78, opt_bid=98_765.43, opt_ask=123_456.78)
                for last in snapshot.traded.tape
                if isinstance(last, OptionTrade)
            ]
            * 4,
        ),
        last_gap="options 86399.9 s at 09:28:30, closed",
        server=ServerNow([Consumer("a-consumer-with-a-long-name", 9_876_543_210, 86_399.9, 1_234_567)] * 30),
        warnings=4_567,
    )
