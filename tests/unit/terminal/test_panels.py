"""Parts that the dashboards share."""

from spyctl.bus.consumers import Consumer
from spyctl.terminal.alarms import ACK_MS
from spyctl.terminal.boxes import box
from spyctl.terminal.fields import row
from spyctl.terminal.panels import (
    alarm,
    consumer_rows,
    consumers_field,
    latency_fields,
    note_line,
    note_rows,
    process_row,
    waiting_text,
)
from spyctl.terminal.process import Usage
from spyctl.timing.histogram import Percentiles
from spyctl.timing.notes import Note

NOON_NS = 1_765_904_400_000_000_000  # 2025-12-16 12:00 New York


def test_consumers_are_shown_with_how_far_they_are_behind() -> None:
    consumers = (Consumer("lake", 1_204, 1.7, 128), Consumer("core", 0, None, 14))
    rows = consumer_rows(consumers, 40, 4)
    assert [row.plain.split() for row in rows] == [
        ["name", "behind", "unacked"], ["lake", "1,204", "1.7", "s", "128", "late"], ["core", "0", "14"], [],
    ]  # fmt: skip
    assert any(span.style == "yellow" for span in rows[1].spans)
    assert not any(span.style == "yellow" for span in rows[2].spans)


def test_more_consumers_than_lines_are_counted() -> None:
    consumers = [Consumer(f"c{i}", 0, None, 0) for i in range(5)]
    rows = consumer_rows(consumers, 40, 3)
    assert [row.plain.split()[0] for row in rows] == ["name", "c0", "and"]
    assert rows[-1].plain == " and 4 more"


def test_what_does_not_fit_is_left_out_but_names_are_shortened() -> None:
    consumer = Consumer("a-consumer-with-a-long-name", 123_456_789, 12_345.6, 128)
    whole = " a-consumer-with-a-long-name 123,456,789 12345.6 s     128 far behind"
    assert consumer_rows((consumer,), 69, 2)[1].plain == whole
    assert consumer_rows((consumer,), 50, 2)[1].plain == " a-consu… 123,456,789 12345.6 s     128 far behind"
    assert consumer_rows((consumer,), 40, 2)[1].plain == " a-consu… 123,456,789     128 far behind"
    assert consumer_rows((consumer,), 34, 2)[1].plain == " a-consu… 123,456,789 far behind"
    assert consumer_rows((consumer,), 22, 2)[1].plain == " a-consu… 123,456,789"


def test_a_stream_that_nobody_reads_says_so() -> None:
    assert "nobody reads the stream" in consumer_rows((), 40, 3)[0].plain
    assert len(consumer_rows(None, 40, 3)) == 3


def test_what_the_process_uses_fits_beside_the_title_of_a_box() -> None:
    usage = Usage(memory=76_000_000, cpu=0.5, drawing=0.012)
    assert process_row(usage, 60).plain == " memory 76.0 MB   cpu 50 %   drawing 1.2 %"
    assert process_row(usage, 43).plain == " memory 76.0 MB   cpu 50 %"
    for width in range(34, 64):
        assert "memory 76.0 MB" in box("consumers", [], width, right=process_row(usage, width))[0].plain


def test_notes_are_in_new_york_those_of_the_market_to_the_millisecond() -> None:
    assert note_line(Note(NOON_NS, "text", of_event=True), 40).plain == " 12:00:00.000  text"
    assert note_line(Note(NOON_NS, "text"), 40).plain == " 12:00:00  text"


def test_a_note_that_is_too_long_loses_its_last_words() -> None:
    note = Note(NOON_NS, "stopping: 1,234 acks to come")
    assert note_line(note, 30).plain == " 12:00:00  stopping: 1,234…"
    assert note_line(note, 25).plain == " 12:00:00  stopping:…"
    assert note_line(note, 20).plain == " stopping: 1,234…"


def test_the_newest_notes_fill_the_lines_there_are() -> None:
    notes = [Note(NOON_NS, f"note {i}") for i in range(3)]
    assert [row.plain[-6:] for row in note_rows(notes, 2, 40)] == ["note 1", "note 2"]
    assert [row.plain for row in note_rows(notes[:1], 2, 40)][1] == ""


def test_a_long_note_goes_on_in_the_lines_that_are_free() -> None:
    notes = [Note(NOON_NS, "first"), Note(NOON_NS, "stopping: 1,234 acks to come before the end")]
    assert [row.plain for row in note_rows(notes, 5, 30)] == [
        " 12:00:00  first",
        " 12:00:00  stopping: 1,234",
        "           acks to come before",
        "           the end",
        "",
    ]
    assert [row.plain for row in note_rows(notes, 3, 30)][1:] == [
        " 12:00:00  stopping: 1,234",
        "           acks to come…",
    ]
    assert [row.plain for row in note_rows(notes, 2, 30)] == [" 12:00:00  first", " 12:00:00  stopping: 1,234…"]


def test_where_notes_compete_for_free_lines_the_newest_has_them() -> None:
    notes = [Note(NOON_NS, "one two three"), Note(NOON_NS, "four five sixsixsixsix")]
    assert [row.plain.strip() for row in note_rows(notes, 3, 13 + 11)] == [
        "12:00:00  one two three", "12:00:00  four five", "sixsixsixsix",
    ]  # fmt: skip
    assert [row.plain for row in note_rows([Note(NOON_NS, "x" * 20)], 2, 24)] == [
        " 12:00:00  " + "x" * 13, " " * 11 + "x" * 7,
    ]  # fmt: skip


def test_a_count_that_should_be_zero_is_yellow_when_it_is_not() -> None:
    assert (alarm(0), alarm(1)) == ("", "yellow")


def test_a_wait_is_in_whole_seconds() -> None:
    assert [waiting_text(ns) for ns in (1_250_000_000, 75_000_000_000)] == [
        "waiting for NATS, 1 s", "waiting for NATS, 1 m 15 s",
    ]  # fmt: skip


def test_the_consumer_that_is_furthest_behind_is_named_with_its_alarm() -> None:
    drawn = consumers_field((Consumer("core", 0, None, 14), Consumer("lake", 1_204, 12.0, 128)), rank=0).text
    assert drawn.plain == "consumers 2, lake 1,204 behind far behind"
    assert any(span.style == "red" for span in drawn.spans)
    assert consumers_field((Consumer("core", 0, None, 0),), rank=0).text.plain == "consumers 1, all up to date"
    assert [consumers_field(none, rank=0).text.plain for none in ((), None)] == ["consumers none", "consumers ·"]


def test_a_latency_has_a_now_with_an_alarm_beside_the_whole_run() -> None:
    drawn = row(80, *latency_fields("ack", ACK_MS, 143.0, Percentiles(1.1, 4.0), (0, 1, 2)))
    assert drawn.plain.split("   ") == [" ack now 143 ms slow", "p50 1.1 ms", " p99 4.0 ms "]
    assert any(span.style == "yellow" for span in drawn.spans)
    none = row(80, *latency_fields("ack", ACK_MS, None, None, (0, 1, 2)))
    assert none.plain.split() == ["ack", "now", "·", "p50", "·", "p99", "·"]
