"""Lines → payloads and columns: by places, by the parser, or named as no event."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyctl.market.lines import StreamMessage, json_lines
from spyctl.market.subjects import SUBJECTS, subject_table
from spyctl.replay.tapes import lines as module
from spyctl.replay.tapes.lines import UNKNOWN, read_lines
from spyctl.timing.instants import is_instant
from tests.support.tapes import event, message, messages


def test_payloads_are_those_that_were_stored_to_the_byte() -> None:
    stored = messages(95, 1_205)
    read = read_lines(json_lines(stored), SUBJECTS)
    assert read.messages(SUBJECTS) == stored
    assert read.bad == []
    assert read.ts_event_ns.tolist() == [event(number).ts_event_ns for number in range(95, 1_206)]
    assert read.ts_recv_ns.tolist() == [event(number).ts_recv_ns for number in range(95, 1_206)]


def test_lines_in_our_form_are_read_without_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_parse_into", None)
    for prefix in ("", "REHEARSAL"):
        stored = messages(8, 1_012, prefix=prefix)
        assert read_lines(json_lines(stored), subject_table(prefix)).messages(subject_table(prefix)) == stored


def test_texts_are_the_payloads() -> None:
    stored = messages(1, 40)
    assert read_lines(json_lines(stored), SUBJECTS).texts().single() == [m.payload for m in stored]


@pytest.mark.parametrize(
    "line",
    [
        b'{"subject":"market.stocks.trades","event":%b}',
        b'{"seq": 7, "subject": "market.stocks.trades", "stored_ns": 9, "event": %b }',
        b'{"stored_ns":9,"seq":7,"subject":"market.stocks.trades","event":%b}',
    ],
)
def test_other_spellings_of_a_line_are_read_too(line: bytes) -> None:
    payload = message(6).payload
    read = read_lines(line % payload + b"\n", SUBJECTS)
    assert read.payloads() == [payload]
    assert read.ranks.tolist() == [0]
    assert read.seq.tolist() == [7 if b"seq" in line[:40] else UNKNOWN]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "not JSON"),
        (b"nonsense", "not JSON"),
        (b"[1]", "names no subject"),
        (b'{"seq":1,"subject":"market.gaps","stored_ns":2,"undecoded":"x"}', "no event when it was recorded"),
        (b'{"seq":1,"subject":"market.gaps","stored_ns":2,"event":{}}', "has no times"),
        (b'{"seq":1,"subject":"market.gaps","stored_ns":2,"event":{"ts_event_ns":-1,"ts_recv_ns":2}}', "has no times"),
        (b'{"subject":"weather","event":{"ts_event_ns":1,"ts_recv_ns":2}}', "'weather' is not one of this tape"),
        (b'{"event":{"ts_event_ns":1,"ts_recv_ns":2},"subject":"market.gaps"}', "not the last thing"),
    ],
)
def test_a_line_that_is_no_event_is_named_and_the_others_are_read(line: bytes, reason: str) -> None:
    before, behind = message(1), message(2)
    read = read_lines(json_lines([before]) + line + b"\n" + json_lines([behind]), SUBJECTS)
    assert read.messages(SUBJECTS) == [before, behind]
    assert [(bad.offset, reason in bad.reason) for bad in read.bad] == [(len(json_lines([before])), True)]


@given(st.data())
def test_whatever_is_in_the_head_of_a_line_the_parser_says_the_same(data: st.DataObject) -> None:
    text = bytearray(json_lines([message(data.draw(st.integers(1, 2_000)))]))
    head = text.index(b',"source"') + 1
    for _ in range(data.draw(st.integers(1, 3))):
        text[data.draw(st.integers(0, head - 1))] = data.draw(st.sampled_from(b'0129{}",:x-'))
    read = read_lines(bytes(text), SUBJECTS)
    try:
        document = orjson.loads(text)
        subject, event = document["subject"], document["event"]
        good = subject in SUBJECTS and is_instant(event["ts_event_ns"]) and is_instant(event["ts_recv_ns"])
    except (ValueError, KeyError, TypeError):
        good = False
    assert (len(read), len(read.bad)) == ((1, 0) if good else (0, 1))
    if good:
        assert read.seq.tolist() == [document["seq"] if is_instant(document.get("seq")) else UNKNOWN]
        assert read.ts_event_ns.tolist() == [event["ts_event_ns"]]
        assert read.ts_recv_ns.tolist() == [event["ts_recv_ns"]]
        assert orjson.loads(read.payloads()[0]) == event


def test_no_line_is_no_message() -> None:
    assert len(read_lines(b"", SUBJECTS)) == 0


def test_a_sequence_of_any_length_is_read() -> None:
    for seq in (1, 9, 10, 10**11, 10**17, 10**18 - 1, 1 << 62):
        stored = StreamMessage(seq, SUBJECTS[0], 10**18, message(6).payload, 0)
        assert read_lines(json_lines([stored]), SUBJECTS).messages(SUBJECTS) == [stored]
