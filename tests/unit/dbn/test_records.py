"""Bytes → header and records, without files; the reader's tests take the same bytes through files."""

from itertools import pairwise
from typing import Any

import databento_dbn as dbn
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyctl.dbn.records import (
    RECORD_DTYPES,
    RTYPES,
    Header,
    MalformedHeaderError,
    Piece,
    RecordSplitter,
    count_good,
    metadata_length,
    parse_header,
    read_definitions,
    record_decoder,
    record_dtype,
)
from tests.support.records import DAY_NS, ES, T0, book, metadata, trade

MIXED: list[Any] = [trade(T0), book(T0 + 1), trade(T0 + 2, sequence=7), dbn.SystemMsg(1, "Heartbeat"), book(T0 + 3)]


def header(**fields: Any) -> Header:
    return parse_header(metadata(None, version=3, symbols=[], mappings={}, start=0, end=None, **fields))


def test_fields_are_those_of_the_official_encoder() -> None:
    record = book(T0, T0 + 7, side=dbn.Side.ASK, flags=168, depth=4, sequence=77, price=-250_000_000)

    (row,) = np.frombuffer(bytes(record), RECORD_DTYPES["mbp-10"])

    assert (row["instrument_id"], row["ts_event"], row["ts_recv"]) == (ES, T0, T0 + 7)
    assert (row["price"], row["size"], row["side"], row["action"]) == (-250_000_000, 3, b"A", b"A")
    assert (row["flags"], row["depth"], row["ts_in_delta"], row["sequence"]) == (168, 4, 15_000, 77)
    for ours, theirs in zip(row["levels"], record.levels, strict=True):
        assert (ours["bid_px"], ours["ask_px"]) == (theirs.bid_px, theirs.ask_px)
        assert (ours["bid_sz"], ours["ask_sz"]) == (theirs.bid_sz, theirs.ask_sz)
        assert (ours["bid_ct"], ours["ask_ct"]) == (theirs.bid_ct, theirs.ask_ct)
    assert [record_dtype(schema, ts_out=False).itemsize for schema in RTYPES] == [48, 368]
    assert [record_dtype(schema, ts_out=True).itemsize for schema in RTYPES] == [56, 376]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_header_is_read_from_bytes_and_knows_its_size(version: int) -> None:
    data = metadata("trades", version=version)
    assert 8 + metadata_length(data[:8]) == len(data)
    found = parse_header(data)
    assert (found.version, found.schema, found.symbols, found.size) == (version, "trades", ("ES.c.0",), len(data))
    assert (found.start_ns, [mapping.instrument_id for mapping in found.mappings]) == (DAY_NS, [ES])


@pytest.mark.parametrize(
    ("prefix", "reason"),
    [
        (b"PK\x03\x04\0\0\0\0", "does not begin with DBN"),
        (b"DBN\x04\0\0\0\0", "DBN version 4, but this spyctl reads"),
    ],
)
def test_bytes_that_are_not_a_header_are_refused(prefix: bytes, reason: str) -> None:
    with pytest.raises(MalformedHeaderError, match=reason):
        metadata_length(prefix)


def test_a_header_that_cannot_be_decoded_is_refused() -> None:
    with pytest.raises(MalformedHeaderError, match="unreadable DBN header"):
        parse_header(b"DBN\x01\x08\x00\x00\x00" + bytes(8))


def test_records_are_good_up_to_the_first_of_another_length_or_type() -> None:
    records = np.frombuffer(b"".join(map(bytes, [trade(T0)] * 5)), RECORD_DTYPES["trades"]).copy()
    assert count_good(records, "trades") == 5
    records["rtype"][3] = 0x0A
    assert count_good(records, "trades") == 3
    records["length"][1] = 11
    assert count_good(records, "trades") == 1


@given(st.lists(st.integers(1, 400), max_size=12))
def test_mixed_records_are_cut_alike_however_the_bytes_arrive(sizes: list[int]) -> None:
    data = b"".join(map(bytes, MIXED))
    splitter = RecordSplitter(header())
    cuts = [0, *np.cumsum(sizes).clip(max=len(data)).tolist(), len(data)]
    pieces = [splitter.feed(data[start:end]) for start, end in pairwise(cuts)]
    found = [piece.data[at : at + piece.data[at] * 4] for piece in pieces for at in piece.starts]
    assert found == [bytes(record) for record in MIXED]
    assert (splitter.problem, splitter.unfinished) == (None, 0)
    assert splitter.offset == header().size + len(data)


def test_a_piece_gives_the_records_of_one_schema() -> None:
    piece = RecordSplitter(header()).feed(b"".join(map(bytes, MIXED)))
    trades = list(piece.of_schema("trades", RECORD_DTYPES["trades"], 1, ()))
    assert [part["sequence"].tolist() for part in trades] == [[1_000], [7]]
    (books,) = piece.of_schema("mbp-10", RECORD_DTYPES["mbp-10"], 10, ())
    assert books["ts_event"].tolist() == [T0 + 1, T0 + 3]


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (bytes(64), "not a DBN record"),
        (bytes([13]) + bytes(trade(T0))[1:] + bytes(4), "not a DBN record, or one of a later version"),
        (bytes([12, 0xFE]) + bytes(46), "not a DBN record, or one of a later version"),
    ],
)
def test_what_is_not_a_record_ends_the_cutting_and_is_kept_with_its_place(bad: bytes, problem: str) -> None:
    splitter = RecordSplitter(header())
    piece = splitter.feed(bytes(trade(T0)) + bad)
    assert len(piece.starts) == 1
    assert (splitter.problem, splitter.offset) == (problem, header().size + 48)


def test_the_length_of_a_record_with_ts_out_is_eight_bytes_more() -> None:
    raw = bytearray(bytes(trade(T0)) + bytes(8))
    raw[0] += 2
    for ts_out, problem in ((True, None), (False, "not a DBN record, or one of a later version")):
        splitter = RecordSplitter(header(ts_out=ts_out))
        splitter.feed(bytes(raw))
        assert splitter.problem == problem


def test_definitions_give_names_by_day() -> None:
    kinds = dbn.InstrumentClass.FUTURE, dbn.SecurityUpdateAction.ADD
    record = dbn.InstrumentDefMsg(1, ES, T0, T0, 250_000_000, 1, "ESZ5", "ES", "FUT", *kinds)
    found = read_definitions(record_decoder(header()), Piece(bytes(record), [0]))
    assert list(found) == [("ESZ5", ES, DAY_NS // 86_400_000_000_000)]
