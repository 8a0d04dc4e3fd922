"""From when on a lost connection is sent again, and what of it stays missing."""

from spyctl.dbn.gateway.hole import REPLAY_NS, EarlierRun, Hole
from spyctl.dbn.gateway.intake import Intake
from spyctl.dbn.gateway.protocol import Login
from spyctl.dbn.gateway.session import GatewaySession
from spyctl.dbn.gateway.topics import Topics, topics_of
from spyctl.market.events import EventSource
from tests.support.gateway import FuturesListener
from tests.support.records import SECOND, T0


def intake() -> Intake:
    return Intake("futures", EventSource.DATABENTO_LIVE, lambda _: None)


def session(start_ns: int | None = T0) -> GatewaySession:
    return GatewaySession(Login("db-k"), Topics(topics_of(["ES.c.0"])), intake(), start_ns)


def end_of(hole: Hole, last: GatewaySession) -> str:
    listener = FuturesListener()
    assert hole.close("futures", last, listener, T0) == Hole()
    (told,) = listener.told
    return told


def test_a_first_session_wants_nothing_again() -> None:
    assert Hole().start_ns(intake(), None, T0, T0 + SECOND) is None


def test_before_there_were_events_everything_since_the_beginning_is_missing() -> None:
    assert Hole(open=True).start_ns(intake(), None, T0, T0 + SECOND) == T0


def test_what_is_older_than_a_day_is_gone() -> None:
    hole, now_ns = Hole(open=True), T0 + 2 * REPLAY_NS
    assert hole.start_ns(intake(), session(), T0, now_ns) == T0 + REPLAY_NS
    assert end_of(hole, session()) == "short: None"


def test_a_gateway_that_sends_nothing_again_is_not_asked_twice() -> None:
    hole = Hole(open=True, gone=True)
    assert hole.start_ns(intake(), None, T0, T0 + SECOND) is None
    assert end_of(hole, session(None)) == "short: None"


def test_what_replays_lacked_adds_up() -> None:
    last = session()
    assert end_of(Hole(open=True), last) == "back"
    last.missing = 2
    assert end_of(Hole(open=True, missing=3), last) == "short: 5"


def test_the_hole_behind_an_earlier_run_is_sent_again_from_its_last_events_on() -> None:
    assert not Hole.behind(None).open
    hole = Hole.behind(EarlierRun(T0, T0 - SECOND))
    assert hole.start_ns(intake(), None, T0 + 60 * SECOND, T0 + 61 * SECOND) == T0 - SECOND
    assert end_of(hole, session()) == "back"


def test_the_hole_behind_an_earlier_run_may_stay_one() -> None:
    hole = Hole.behind(EarlierRun(T0))
    assert hole.start_ns(intake(), None, T0 + 60 * SECOND, T0 + 61 * SECOND) is None
    assert end_of(hole, session(None)) == "back, not filled"
