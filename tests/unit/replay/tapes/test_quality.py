"""How good a tape is: figures on planted faults, resets and market hours."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from spyctl.market.events import EventSource, Gap, Reset, ResetReason
from spyctl.market.lines import StreamMessage
from spyctl.market.subjects import encode, subject_of, with_prefix
from spyctl.replay.tapes import reader
from spyctl.replay.tapes.catalog import inspect_tape
from spyctl.replay.tapes.quality import SubjectQuality, TapeQuality, assess_tape, market_closed
from spyctl.timing.instants import HOUR, MINUTE, SECOND
from tests.support.events import book, quote, trade
from tests.support.tapes import ORIGIN, STORED_NS, messages, record


def assessed(folder: Path, events: Sequence[Any], prefix: str = "", **options: Any) -> TapeQuality:
    """Put events on a tape and look at it."""
    stored = [
        StreamMessage(seq, with_prefix(subject_of(event), prefix), STORED_NS + seq, encode(event), 0)
        for seq, event in enumerate(events, 1)
    ]
    info = inspect_tape(record(folder, stored))
    assert info is not None
    return assess_tape(info, **options)


def at(kind: Any, event_ns: int, recv_ns: int | None = None, **values: Any) -> Any:
    recv_ns = event_ns if recv_ns is None else recv_ns
    return kind(ts_event_ns=STORED_NS + event_ns, ts_recv_ns=STORED_NS + recv_ns, **values)


def reset(to_ns: int) -> Reset:
    to_ns += STORED_NS
    return Reset(to_ns, STORED_NS + HOUR, EventSource.SIM, "run", ResetReason.SEEK, STORED_NS, to_ns, 1)


def only(quality: TapeQuality) -> SubjectQuality:
    (subject,) = quality.subjects
    return subject


def test_each_planted_fault_is_counted(tmp_path: Path) -> None:
    events = [
        at(quote, 10 * SECOND),
        at(quote, 9 * SECOND, 10 * SECOND),  # an inversion of a second, within the window
        at(quote, 11 * SECOND, 10 * SECOND),  # received before it happened
        at(quote, 12 * SECOND, 15 * SECOND),  # late
        at(quote, 75 * SECOND),  # after a quiet minute
    ]
    quality = assessed(tmp_path, events)
    subject = only(quality)
    assert (subject.events, subject.size) == (5, sum(len(encode(event)) for event in events))
    assert (subject.first_ns, subject.last_ns) == (STORED_NS + 9 * SECOND, STORED_NS + 75 * SECOND)
    assert (subject.inversions, subject.largest_inversion_ns) == (1, SECOND)
    assert (subject.late, subject.received_before_event, subject.latency_max_ns) == (1, 1, 3 * SECOND)
    assert subject.quiet == [(STORED_NS + 15 * SECOND, STORED_NS + 75 * SECOND)]
    assert len(quality.doubts()) == 4


def test_figures_are_the_same_however_the_lines_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tape = record(tmp_path, messages(1, 240))
    info = inspect_tape(tape)
    assert info is not None
    whole = assess_tape(info)
    monkeypatch.setattr(reader, "PIECE", 700)
    assert assess_tape(info) == whole
    assert [subject.events for subject in whole.subjects] == [40] * 5
    assert (whole.gap_records, len(whole.gaps)) == (40, 40)


def test_times_begin_anew_at_a_reset(tmp_path: Path) -> None:
    events = [at(quote, 0), at(quote, SECOND), reset(-HOUR), at(quote, -HOUR), reset(HOUR), at(quote, HOUR)]
    quality = assessed(tmp_path, events)
    subject = only(quality)
    assert (quality.resets, subject.events) == (2, 4)
    assert (subject.inversions, subject.late, subject.quiets, quality.doubts()) == (0, 0, 0, [])


def test_snapshots_are_no_inversions_and_not_late(tmp_path: Path) -> None:
    events = [at(book, 0), at(book, -HOUR, SECOND, is_snapshot=True), at(book, 2 * SECOND)]
    subject = only(assessed(tmp_path, events))
    assert (subject.inversions, subject.late, subject.latency_max_ns) == (0, 0, 0)


def test_quiet_trades_are_no_doubt_beside_quotes(tmp_path: Path) -> None:
    trades = [at(trade, 0), at(trade, 2 * MINUTE)]
    assert assessed(tmp_path / "alone", trades).doubts() == ["stocks.trades: 1 quiet spell of a minute or more"]
    quotes = [at(quote, n * 30 * SECOND) for n in range(5)]
    quality = assessed(tmp_path / "both", [trades[0], *quotes, trades[1]])
    assert ([subject.quiets for subject in quality.subjects], quality.doubts()) == ([1, 0], [])


def test_of_a_gap_the_last_record_counts(tmp_path: Path) -> None:
    opened = Gap(STORED_NS, STORED_NS, EventSource.SIM, "stocks", STORED_NS, None, "cut", "g")
    closed = Gap(STORED_NS, STORED_NS, EventSource.SIM, "stocks", STORED_NS, STORED_NS + 5, "cut", "g", 3)
    quality = assessed(tmp_path, [opened, closed])
    assert (quality.gap_records, quality.gaps, quality.subjects) == (2, [closed], [])


def test_only_the_subjects_asked_for_also_under_a_prefix(tmp_path: Path) -> None:
    quality = assessed(tmp_path, [at(quote, 0), at(trade, 0)], "TEST", subjects={"market.stocks.trades"})
    assert only(quality).subject == "market.stocks.trades"
    assert quality.lines == 2


def test_lines_that_came_before_are_told(tmp_path: Path) -> None:
    tape = record(tmp_path, messages(1, 30))
    tape.write_bytes(tape.read_bytes() * 2)
    info = inspect_tape(tape)
    assert info is not None
    quality = assess_tape(info)
    assert (quality.lines, quality.duplicates) == (60, 30)
    assert "30 lines of a sequence that came before" in quality.doubts()


def test_a_tape_without_events_is_told(tmp_path: Path) -> None:
    stored = [StreamMessage(1, "market.stocks.trades", STORED_NS, b"odd", 0)]
    info = inspect_tape(record(tmp_path, stored, ORIGIN))
    assert info is not None
    assert assess_tape(info).doubts() == ["1 line that is no event"]
    tape = tmp_path / "empty" / "MARKET_DATA-2025-12-16.jsonl.zst"
    tape.parent.mkdir()
    tape.touch()
    empty = inspect_tape(tape)
    assert empty is not None
    assert assess_tape(empty).doubts() == ["no event on this tape"]


@pytest.mark.parametrize(
    ("market", "start", "end", "closed"),
    [
        ("stocks", "2025-12-16T20:00-05:00", "2025-12-17T04:00-05:00", True),
        ("stocks", "2025-12-16T19:59-05:00", "2025-12-17T04:09-05:00", True),
        ("stocks", "2025-12-16T19:57-05:00", "2025-12-17T04:00-05:00", False),
        ("stocks", "2025-12-16T20:00-05:00", "2025-12-17T04:11-05:00", False),
        ("stocks", "2025-12-16T04:01-05:00", "2025-12-16T04:09-05:00", False),
        ("options", "2025-12-16T16:14-05:00", "2025-12-17T09:31-05:00", True),
        ("options", "2025-12-16T15:00-05:00", "2025-12-16T15:02-05:00", False),
        ("futures", "2025-12-16T17:00-05:00", "2025-12-16T18:00-05:00", True),
        ("futures", "2025-12-16T20:00-05:00", "2025-12-17T04:00-05:00", False),
    ],
)
def test_a_closed_market_may_be_quiet(market: str, start: str, end: str, closed: bool) -> None:
    times = [int(datetime.fromisoformat(text).astimezone(UTC).timestamp()) * SECOND for text in (start, end)]
    assert market_closed(f"market.{market}.quotes", times[0], times[1]) is closed
