"""What a session makes of what the gateway says between its records."""

from typing import Any

import databento_dbn as dbn
import pytest

from spyctl.dbn.gateway.intake import Intake
from spyctl.dbn.gateway.protocol import Login, control_line
from spyctl.dbn.gateway.session import GatewaySession
from spyctl.dbn.gateway.topics import Topics, topics_of
from spyctl.dbn.messages import ErrorKind, NoticeKind, fault_record, live_header, mapping_record, notice_record
from spyctl.dbn.records import with_ts_out
from spyctl.market.events import EventSource
from spyctl.market.feeds import WrittenArrival
from tests.support.records import ES, SECOND, T0, book, trade

MAPPING = mapping_record("ES.c.0", "continuous", "ESZ5", ES, T0)


class Talk:
    """One session after the other over one intake."""

    def __init__(self) -> None:
        self.topics = Topics(topics_of(["ES.c.0"]))
        self.intake = Intake("futures", EventSource.DATABENTO_LIVE, lambda _: None)
        self.begin(None)

    def begin(self, start_ns: int | None) -> None:
        self.topics.disconnected()
        self.session = GatewaySession(Login("db-k"), self.topics, self.intake, start_ns)
        greeting = control_line(cram="x") + control_line(success=1) + live_header("GLBX.MDP3")
        self.session.protocol.receive(greeting)
        self.say(MAPPING)

    def say(self, *records: Any, sent_ns: int = T0 + 5) -> WrittenArrival:
        data = b"".join(with_ts_out(bytes(record), sent_ns) for record in records)
        piece = self.session.protocol.receive(data).piece
        assert piece is not None
        return self.session.take(piece, T0 + 9, 1)


def replayed(schema: str) -> bytes:
    return notice_record(NoticeKind.REPLAYED, f"Finished {schema} replay", T0)


def test_names_come_before_the_records_of_their_segment() -> None:
    assert b'"symbol":"ES"' in Talk().say(trade(T0)).events[0].payload


def test_a_topic_is_held_when_it_is_acknowledged_or_brings_data() -> None:
    talk = Talk()
    talk.say(notice_record(NoticeKind.SUBSCRIBED, "Subscription request for trades data succeeded", T0))
    assert talk.topics.held == {"trades ES.c.0"}
    talk.say(book(T0))
    assert talk.topics.complete


def test_what_comes_after_skipped_records_is_left_to_the_next_session() -> None:
    talk = Talk()
    arrival = talk.say(trade(T0), fault_record(ErrorKind.SKIPPED, "5 records skipped", T0), trade(T0 + 1))
    assert len(arrival.events) == 1
    assert talk.intake.places.newest_ns == T0
    assert [fault.text for fault in talk.session.take_faults()] == ["5 records skipped"]
    assert talk.session.take_faults() == []


def test_slowness_is_remembered() -> None:
    talk = Talk()
    talk.say(notice_record(NoticeKind.SLOW_READER, "too slow", T0))
    assert talk.session.slow == "too slow"


@pytest.mark.parametrize(
    "end",
    [
        [replayed("trades"), replayed("mbp-10")],
        [notice_record(NoticeKind.REPLAYED, "done", T0)],
        [notice_record(NoticeKind.HEARTBEAT, "Heartbeat", T0)],
        [trade(T0 + 5 + SECOND), book(T0 + 5 + SECOND)],
    ],
    ids=["a word for each schema", "a word for all", "a heartbeat", "something well after the beginning"],
)
def test_a_replay_is_over(end: list[Any]) -> None:
    talk, shown = Talk(), book(T0, action=dbn.Action.TRADE)
    talk.say(trade(T0), shown)
    talk.begin(T0)
    assert talk.say(trade(T0), shown).repeated == 2
    assert talk.session.refilling
    talk.say(end[0])
    talk.say(*end[1:]) if len(end) > 1 else None
    assert not talk.session.refilling
    assert talk.session.missing == 0
    assert talk.intake.is_live


def test_a_replay_that_says_to_be_over_may_lack_something() -> None:
    talk = Talk()
    talk.say(trade(T0), book(T0), book(T0))
    talk.begin(T0)
    talk.say(trade(T0), book(T0), replayed("trades"), replayed("mbp-10"))
    # a book of T0; and no book shows the trade
    assert talk.session.missing == 1


def test_one_word_of_two_is_not_the_end_of_a_replay() -> None:
    talk = Talk()
    talk.say(trade(T0), book(T0))
    talk.begin(T0)
    talk.say(replayed("trades"))
    assert talk.session.refilling
