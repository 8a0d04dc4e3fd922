"""Records of the gateway become the events that a file of them gives, each with an identity of its own."""

from pathlib import Path
from typing import Any

import databento_dbn as dbn
import orjson

from spyctl.dbn.gateway.intake import Intake
from spyctl.dbn.messages import live_header, mapping_record
from spyctl.dbn.records import RecordSplitter, parse_header, with_ts_out
from spyctl.market.events import EventSource
from spyctl.market.feeds import WrittenArrival
from spyctl.market.symbology import CaptureMapping
from spyctl.replay.source import DBNIngestor
from tests.support.records import ES, MS, T0, book, level, trade, write_file

HEADER = parse_header(live_header("GLBX.MDP3"))
FAR = (1 << 64) - 1
SENT_NS = T0 + 50 * MS


class Gateway:
    """Sessions of one intake; it is told what ES.c.0 is."""

    def __init__(self) -> None:
        self.rolls: list[str] = []
        self.intake = Intake("futures", EventSource.DATABENTO_LIVE, self.rolls.append)
        self.begin()

    def begin(self, start_ns: int | None = None) -> None:
        self.splitter = RecordSplitter(HEADER)
        self.intake.begin(HEADER, start_ns)
        self.map("ESZ5", ES)

    def map(self, raw: str, number: int) -> None:
        mapping = CaptureMapping("ES.c.0", raw, number, T0, FAR, FAR, self.splitter.offset)
        self.intake.learn([mapping], T0)

    def send(self, *records: Any, sent_ns: int = SENT_NS, now_ns: int = SENT_NS + MS) -> WrittenArrival:
        data = b"".join(with_ts_out(bytes(record), sent_ns) for record in records)
        return self.intake.take(self.splitter.feed(data), now_ns, 77)


def documents(arrival: WrittenArrival) -> list[dict[str, Any]]:
    return [orjson.loads(event.payload) for event in arrival.events]


def test_the_events_are_those_of_a_file_with_another_source(tmp_path: Path) -> None:
    trades = [trade(T0, price=6_815_250_000_000), trade(T0 + 5, side=dbn.Side.ASK, publisher_id=1, sequence=2**32 - 1)]
    books = [
        book(T0, flags=0, action=dbn.Action.TRADE),
        book(T0 + 3, flags=168),
        book(T0 + 9, levels=[level(None, None)] * 10),
    ]
    write_file(tmp_path, "trades", trades)
    write_file(tmp_path, "mbp-10", books)
    files = DBNIngestor(tmp_path)
    events = sorted([*files.read_trades(), *files.read_mbp10()], key=lambda e: (e.ts_event_ns, hasattr(e, "levels")))
    expected = [orjson.dumps(event).replace(b"direct_feed", b"databento_live") for event in events]

    arrival = Gateway().send(trades[0], books[0], books[1], trades[1], books[2])

    assert sorted(event.payload for event in arrival.events) == sorted(expected)
    assert {event.subject for event in arrival.events} == {"market.futures.trades", "market.futures.mbp10"}
    assert (arrival.feed, arrival.clock_ns, arrival.repeated, arrival.rejects) == ("futures", 77, 0, [])


def test_what_comes_together_is_in_the_order_of_files() -> None:
    arrival = Gateway().send(book(T0), trade(T0), book(T0 + 2), trade(T0 + 1))
    assert [(event["ts_event_ns"] - T0, "levels" in event) for event in documents(arrival)] == [
        (0, False), (0, True), (1, False), (2, True),
    ]  # fmt: skip
    assert arrival.oddities == []


def test_what_comes_behind_its_time_is_counted() -> None:
    gateway = Gateway()
    gateway.send(book(T0 + 2))
    assert gateway.send(book(T0 + 1), book(T0 + 3)).oddities == ["out_of_order"]
    late = gateway.send(book(T0 + 4, T0 + 4 + 2_000 * MS))
    assert late.oddities == ["late"]
    assert len(late.events) == 1


def test_every_event_has_an_identity_wherever_segments_end() -> None:
    records = [book(T0), book(T0), trade(T0), book(T0, sequence=1_001), trade(T0), book(T0 + 1)]
    whole = [event.identity for event in Gateway().send(*records).events]
    gateway = Gateway()
    pieces = [event.identity for record in records for event in gateway.send(record).events]
    assert len(set(whole)) == len(records)
    assert sorted(whole) == sorted(pieces)


def test_a_newer_book_makes_an_older_one_stale_and_no_trade() -> None:
    arrival = Gateway().send(trade(T0), book(T0))
    assert [event.conflates for event in arrival.events] == [None, "FB.ES"]


def test_latency_is_from_the_event_to_its_arrival_here() -> None:
    assert list(Gateway().send(trade(T0), now_ns=T0 + 7 * MS).late_ns) == [7 * MS]


def test_a_trade_without_a_price_is_rejected() -> None:
    arrival = Gateway().send(trade(T0, price=dbn.UNDEF_PRICE), trade(T0 + 1))
    assert [reject.reason for reject in arrival.rejects] == ["no_price"]
    assert len(arrival.events) == 1


def test_an_instrument_without_a_name_is_its_number() -> None:
    arrival = Gateway().send(trade(T0, instrument_id=9))
    assert documents(arrival)[0]["symbol"] == "9"
    assert arrival.oddities == ["unresolved"]


def test_a_roll_within_a_segment_names_both_and_is_told() -> None:
    gateway = Gateway()
    mapping = mapping_record("ES.c.0", "continuous", "ESH6", 42, T0)
    gateway.send(trade(T0))
    data = b"".join(with_ts_out(bytes(r), SENT_NS) for r in (trade(T0 + 1), trade(T0 + 3, instrument_id=42)))
    first = len(data) // 2
    data = data[:first] + with_ts_out(mapping, SENT_NS) + data[first:]
    offset = gateway.splitter.offset + first
    gateway.intake.learn([CaptureMapping("ES.c.0", "ESH6", 42, T0, FAR, FAR, offset)], T0)
    arrival = gateway.intake.take(gateway.splitter.feed(data), SENT_NS, 0)
    assert [event["symbol"] for event in documents(arrival)] == ["ES", "ES"]
    assert gateway.rolls == [f"ES rolls from instrument {ES} to ESH6 (42)"]


def test_what_comes_again_is_repeated_and_what_was_missed_is_new() -> None:
    gateway = Gateway()
    first = gateway.send(book(T0), trade(T0), book(T0 + 1))
    gateway.begin(T0)
    again = gateway.send(book(T0), trade(T0), book(T0 + 1), book(T0 + 1), trade(T0 + 2), sent_ns=T0 + MS)
    assert again.repeated == 3
    assert [event["ts_event_ns"] - T0 for event in documents(again)] == [1, 2]
    assert not {event.identity for event in again.events} & {event.identity for event in first.events}
    assert not again.late_ns  # how late a refill is says nothing
    assert not gateway.intake.is_live


def test_what_does_not_come_again_is_counted() -> None:
    gateway = Gateway()
    gateway.send(book(T0), book(T0), trade(T0))
    gateway.begin(T0)
    shown = book(T0 + 1, action=dbn.Action.TRADE)
    gateway.send(book(T0), book(T0 + 1), shown, trade(T0 + 2), sent_ns=T0 + MS)
    # of T0 a book and the trade; later the trade that a book shows, and the book that should show a trade
    assert (gateway.intake.places.short, gateway.intake.missing()) == (2, 2)
    gateway.intake.end_refill()
    assert (gateway.intake.is_live, gateway.intake.missing()) == (True, 0)


def behind(stored: list[str]) -> Gateway:
    gateway = Gateway()
    gateway.intake = Intake("futures", EventSource.DATABENTO_LIVE, gateway.rolls.append, stored)
    gateway.begin(T0)
    return gateway


def test_what_an_earlier_run_has_stored_is_not_handed_on_again() -> None:
    stored = [event.identity for event in Gateway().send(trade(T0, sequence=1), book(T0), book(T0)).events]
    gateway = behind(stored)
    arrival = gateway.send(trade(T0, sequence=1), book(T0), book(T0), book(T0), trade(T0 + 1, sequence=2))
    assert (len(arrival.events), arrival.repeated) == (2, 3)
    assert not {event.identity for event in arrival.events} & set(stored)
    assert gateway.intake._lacking(None) == 0


def test_what_an_earlier_run_has_stored_and_does_not_come_again_is_missing() -> None:
    stored = [event.identity for event in Gateway().send(book(T0 - 1), book(T0), book(T0 + 1), book(T0 + 2)).events]
    gateway = behind(stored)  # asked for from T0 on
    gateway.send(book(T0 + 1), book(T0 + 3))
    assert gateway.intake.missing() == 2
    assert gateway.intake.missing() == 0  # told once


def test_a_replay_that_broke_off_still_awaits_what_the_next_one_brings() -> None:
    stored = [event.identity for event in Gateway().send(book(T0), book(T0 + 1), book(T0 + 2)).events]
    gateway = behind(stored)
    gateway.send(book(T0 + 1))
    assert gateway.intake.missing(T0 + 1) == 1
    gateway.begin(T0 + 1)
    arrival = gateway.send(book(T0 + 1), book(T0 + 2), book(T0 + 3))
    assert (len(arrival.events), gateway.intake.missing()) == (1, 0)
    gateway.intake.end_refill()
    assert gateway.send(book(T0 + 4)).repeated == 0
