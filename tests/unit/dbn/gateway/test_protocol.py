"""The gateway's protocol byte by byte, without a network."""

from hashlib import sha256
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyctl.dbn.gateway.protocol import (
    GatewayProtocol,
    GatewayProtocolError,
    Login,
    LoginRefusedError,
    Stage,
    Subscription,
    control_line,
    parse_line,
    symbol_type,
)
from spyctl.dbn.messages import live_header
from tests.support.records import T0, book, trade

KEY = "db-0123456789abcdef"
GREETING = b"lsg_version=0.6.2|new=thing\ncram=chall=enge\n"
LET_IN = b"success=1|session_id=77\n"
RECORDS: list[Any] = [trade(T0, ts_out=T0 + 9), book(T0 + 1, ts_out=T0 + 9), trade(T0 + 2, ts_out=T0 + 9)]
STREAM = live_header("GLBX.MDP3") + b"".join(map(bytes, RECORDS))


def protocol(*subscriptions: Subscription) -> GatewayProtocol:
    return GatewayProtocol(Login(KEY), subscriptions or (Subscription("trades", ["ES.c.0"]),))


def fed(session: GatewayProtocol, *parts: bytes) -> tuple[bytes, list[bytes]]:
    """What some segments come to: the answers, and the bytes of each whole record."""
    answer, records = b"", []
    for part in parts:
        received = session.receive(part)
        answer += received.answer
        if (piece := received.piece) is not None:
            records += [piece.data[at : at + piece.data[at] * 4] for at in piece.starts]
    return answer, records


def test_the_key_never_goes_on_the_wire() -> None:
    session = protocol()
    answer, _ = fed(session, GREETING)
    fields = parse_line(answer)
    assert fields["auth"] == sha256(f"chall=enge|{KEY}".encode()).hexdigest() + "-bcdef"
    assert KEY.encode() not in answer
    assert KEY not in repr(Login(KEY))


def test_a_login_asks_for_send_times_heartbeats_and_no_skipping() -> None:
    fields = parse_line(fed(protocol(), GREETING)[0])
    assert fields["dataset"] == "GLBX.MDP3"
    assert (fields["encoding"], fields["compression"], fields["ts_out"]) == ("dbn", "none", "1")
    assert (fields["heartbeat_interval_s"], fields["slow_reader_behavior"]) == ("10", "warn")


def test_who_is_let_in_subscribes_and_starts() -> None:
    session = protocol(Subscription("trades", ["ES.c.0"], 42), Subscription("mbp-10", ["ES.c.0"], 42))
    fed(session, GREETING)
    answer, _ = fed(session, LET_IN)
    assert answer.decode().splitlines() == [
        "schema=trades|stype_in=continuous|symbols=ES.c.0|start=42|snapshot=0|id=1|is_last=1",
        "schema=mbp-10|stype_in=continuous|symbols=ES.c.0|start=42|snapshot=0|id=2|is_last=1",
        "start_session=0",
    ]
    assert session.stage is Stage.HEADER


def test_many_symbols_go_on_several_lines_and_kinds_of_symbols_apart() -> None:
    symbols = [f"ES{n}" for n in range(501)]
    lines = [parse_line(line) for line in Subscription("trades", ["ES.FUT", *symbols]).lines(3)]
    assert [(line["stype_in"], line["symbols"].count(",") + 1, line["is_last"]) for line in lines] == [
        ("parent", 1, "1"), ("raw_symbol", 500, "0"), ("raw_symbol", 1, "1"),
    ]  # fmt: skip
    assert {line["id"] for line in lines} == {"3"}
    assert all("start" not in line for line in lines)


@pytest.mark.parametrize(
    ("symbol", "kind"),
    [("ES.c.0", "continuous"), ("ES.FUT", "parent"), ("ESZ5", "raw_symbol"), ("ESZ5-ESH6", "raw_symbol")],
)
def test_a_symbol_tells_its_kind(symbol: str, kind: str) -> None:
    assert symbol_type(symbol) == kind


@given(st.lists(st.integers(0, 2_000)))
def test_a_session_may_be_cut_into_segments_anywhere(cuts: list[int]) -> None:
    data = GREETING + LET_IN + STREAM
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    session = protocol()
    _, records = fed(session, *(data[a:b] for a, b in pairwise(places)))
    assert records == [bytes(record) for record in RECORDS]
    assert session.header is not None
    assert session.header.ts_out
    assert (session.stage, session.problem) == (Stage.RECORDS, None)


def test_a_session_may_come_byte_by_byte() -> None:
    data = GREETING + LET_IN + STREAM
    assert fed(protocol(), *(data[at : at + 1] for at in range(len(data))))[1] == [bytes(r) for r in RECORDS]


@pytest.mark.parametrize(
    "refusal", [b"success=0|error=bad key\n", b"error=bad key\n", b"success=0|other=1|error=bad key\n"]
)
def test_a_refusal_is_told_in_the_words_of_the_gateway(refusal: bytes) -> None:
    with pytest.raises(LoginRefusedError, match="bad key"):
        fed(protocol(), GREETING, refusal)


def test_a_refusal_after_the_subscriptions_is_one_too() -> None:
    with pytest.raises(LoginRefusedError, match="no such dataset"):
        fed(protocol(), GREETING, LET_IN, b"error=no such dataset\n")


def test_a_line_without_an_end_is_no_protocol() -> None:
    with pytest.raises(GatewayProtocolError, match="without an end"):
        fed(protocol(), b"x" * 70_000)


def test_a_later_version_of_dbn_is_told() -> None:
    with pytest.raises(GatewayProtocolError, match="version 9"):
        fed(protocol(), GREETING, LET_IN, b"DBN\x09\x08\0\0\0" + b"\0" * 8)


def test_endless_metadata_are_no_protocol() -> None:
    with pytest.raises(GatewayProtocolError, match="metadata"):
        fed(protocol(), GREETING, LET_IN, b"DBN\x03\xff\xff\xff\xff")


def test_what_is_no_record_ends_what_can_be_read() -> None:
    session = protocol()
    _, records = fed(session, GREETING, LET_IN, STREAM + b"\0" * 64, b"more")
    assert len(records) == 3
    assert session.problem == "not a DBN record"


def test_a_line_holds_fields_and_other_things() -> None:
    assert control_line(a=1, b="x") == b"a=1|b=x\n"
    assert parse_line(b"a=1|b=x=y|junk|c=\n") == {"a": "1", "b": "x=y", "c": ""}
