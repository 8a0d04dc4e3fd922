"""What a gateway says between its data, with codes and, from older ones, without."""

from typing import Any

import databento_dbn as dbn
import pytest

from spyctl.dbn.messages import CaptureSurvey, ErrorKind, GatewayFault, Notice, NoticeKind, read_messages
from spyctl.dbn.records import RTYPES, Header, Piece, RecordSplitter, parse_header
from spyctl.market.symbology import CaptureMapping
from tests.support.records import ES, T0, book, mapped, metadata, trade

MIXED: list[Any] = [trade(T0), book(T0 + 1), dbn.SystemMsg(1, "Heartbeat"), book(T0 + 3)]


def header(**fields: Any) -> Header:
    return parse_header(metadata(None, version=3, symbols=[], mappings={}, start=0, end=None, **fields))


def messages(*records: Any) -> list[Any]:
    piece = RecordSplitter(header(ts_out=True)).feed(b"".join(map(bytes, records)))
    return list(read_messages(header(ts_out=True), piece))


def test_data_is_no_message() -> None:
    assert messages(trade(T0, ts_out=1), book(T0, ts_out=2)) == []


def test_a_message_has_its_kind_and_its_place() -> None:
    size = header(ts_out=True).size
    first = trade(T0, ts_out=1)
    notice = dbn.SystemMsg(T0, "Replay of trades done", dbn.SystemCode.REPLAY_COMPLETED, ts_out=1)
    fault = dbn.ErrorMsg(T0, "2 records", True, dbn.ErrorCode.SKIPPED_RECORDS_AFTER_SLOW_READING, ts_out=1)
    assert messages(first, notice, fault) == [
        Notice(NoticeKind.REPLAYED, "Replay of trades done", size + len(bytes(first))),
        GatewayFault(ErrorKind.SKIPPED, "2 records", size + len(bytes(first)) + len(bytes(notice))),
    ]


def test_a_mapping_says_which_instrument_a_symbol_is() -> None:
    (message,) = messages(dbn.SymbolMappingMsg(*_mapping_fields(), ts_out=5))
    assert isinstance(message, CaptureMapping)
    assert (message.symbol_in, message.symbol_out, message.instrument_id) == ("ES.c.0", "ESZ5", ES)


def _mapping_fields() -> tuple[Any, ...]:
    kinds, far = (dbn.SType.from_str("continuous"), dbn.SType.from_str("raw_symbol")), dbn.UNDEF_TIMESTAMP
    return 1, ES, T0, kinds[0], "ES.c.0", kinds[1], "ESZ5", far, far


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        (dbn.SystemMsg(T0, "Heartbeat", ts_out=1), NoticeKind.HEARTBEAT),
        (dbn.SystemMsg(T0, "Subscription request 1 for trades data succeeded", ts_out=1), NoticeKind.SUBSCRIBED),
        (dbn.SystemMsg(T0, "Finished trades replay", ts_out=1), NoticeKind.REPLAYED),
        (dbn.SystemMsg(T0, "The client is reading too slow", ts_out=1), NoticeKind.SLOW_READER),
        (dbn.SystemMsg(T0, "Hello", ts_out=1), NoticeKind.OTHER),
        (dbn.ErrorMsg(T0, "Failed to resolve symbol: ESX", ts_out=1), ErrorKind.SYMBOL),
        (dbn.ErrorMsg(T0, "User has reached their open connection limit", ts_out=1), ErrorKind.CONNECTIONS),
        (dbn.ErrorMsg(T0, "Hm", ts_out=1), ErrorKind.OTHER),
    ],
)
def test_without_a_code_the_words_tell(record: Any, kind: str) -> None:
    (message,) = messages(record)
    assert message.kind == kind


def test_a_damaged_message_says_nothing() -> None:
    raw = bytearray(bytes(mapped("ES.c.0", "ESZ5", ES)))
    raw[0] = 4  # sixteen bytes are no message
    assert list(read_messages(header(), Piece(bytes(raw[:16]), [0]))) == []


def test_a_survey_gathers_types_names_and_what_the_gateway_said() -> None:
    far, kinds = dbn.UNDEF_TIMESTAMP, (dbn.SType.from_str("continuous"), dbn.SType.from_str("raw_symbol"))
    named = dbn.SymbolMappingMsg(1, ES, T0, kinds[0], "ES.c.0", kinds[1], "ESZ5", far, far)
    survey = CaptureSurvey(header())
    survey.add(RecordSplitter(header()).feed(b"".join(map(bytes, [named, *MIXED, dbn.ErrorMsg(T0, "slow reader")]))))
    assert {RTYPES["trades"], RTYPES["mbp-10"]} <= survey.rtypes
    assert [(mapping.symbol, mapping.instrument_id) for mapping in survey.mappings] == [("ES.c.0", ES), ("ESZ5", ES)]
    assert survey.errors == ["slow reader"]
