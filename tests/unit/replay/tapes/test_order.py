"""The order in which messages are played, and their sort times."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import orjson
from hypothesis import given
from hypothesis import strategies as st

from spyctl.market.columns import SOURCE
from spyctl.market.encode import PIECE
from spyctl.market.events import MBP10, Reset, ResetReason
from spyctl.market.lines import StreamMessage, json_lines
from spyctl.market.subjects import SUBJECTS, encode, subject_of
from spyctl.replay.tapes.lines import Lines, read_lines
from spyctl.replay.tapes.order import Choice, TapeOrder, in_order
from spyctl.replay.tapes.playlist import BEGINNING, Start
from spyctl.replay.tapes.reader import Findings
from tests.support.events import quote, trade
from tests.support.tapes import STORED_NS, event, messages

HOUR = 3_600 * 10**9
STORED = Choice(TapeOrder.STORED)


@dataclass
class Recorded:
    """Messages as the lines of a tape, so many at a time."""

    messages: Sequence[StreamMessage]
    size: int = 7

    def lines(self, start: Start = BEGINNING, findings: Findings | None = None) -> Iterator[Lines]:
        assert start == BEGINNING
        for start_at in range(0, len(self.messages), self.size):
            yield read_lines(json_lines(self.messages[start_at : start_at + self.size]), SUBJECTS)

    def start_before(self, ns: int, classes: Sequence[Sequence[int]], reorder_ns: int) -> Start:
        return BEGINNING


def stored(*events: Any) -> list[StreamMessage]:
    return [StreamMessage(seq, subject_of(one), STORED_NS + seq, encode(one), 0) for seq, one in enumerate(events, 1)]


def played(wanted: Sequence[StreamMessage], choice: Choice, size: int = 7) -> list[tuple[str, bytes, int, bool]]:
    rows = []
    for batch in in_order(Recorded(wanted, size), choice):
        assert batch.lengths.tolist() == [len(payload) for payload in batch.payloads()]
        columns = batch.ranks.tolist(), batch.payloads(), batch.sort_ns.tolist(), batch.late.tolist()
        rows += [(SUBJECTS[rank], *rest) for rank, *rest in zip(*columns, strict=True)]
    assert [row[2] for row in rows] == sorted(row[2] for row in rows)
    return rows  # type: ignore[return-value]


def payloads(rows: Sequence[tuple[str, bytes, int, bool]]) -> list[bytes]:
    return [row[1] for row in rows]


def equity(ns: int, number: int = 0) -> Any:
    return trade(ts_event_ns=STORED_NS + ns, ts_recv_ns=STORED_NS + ns + 90, seq=number)


def future(ns: int, **fields: Any) -> Any:
    made = replace(event(4), ts_event_ns=STORED_NS + ns, ts_recv_ns=STORED_NS + ns + 90)
    return replace(made, **fields)


@given(st.lists(st.integers(-500_000_000, 500_000_000), min_size=1, max_size=60))
def test_what_came_over_one_feed_keeps_its_order(jitter: list[int]) -> None:
    made = [
        (quote if n % 2 else trade)(ts_event_ns=STORED_NS + n * 10**7 + late, ts_recv_ns=STORED_NS + n * 10**7)
        for n, late in enumerate(jitter)
    ]
    wanted = stored(*made)
    for choice in (Choice(), STORED):
        rows = played(wanted, choice)
        assert payloads(rows) == [message.payload for message in wanted]
        assert not any(late for *_, late in rows)


def test_futures_of_another_time_are_merged_with_stocks_by_sort_time() -> None:
    made = [equity(n) for n in (0, 1000, 2000, 3000)] + [future(n) for n in (500, 1000, 1500, 9000)]
    wanted = stored(*made)
    for size in (1, 3, 100):
        rows = played(wanted, Choice(), size)
        assert payloads(rows) == [wanted[i].payload for i in (0, 4, 1, 5, 6, 2, 3, 7)]
    assert payloads(played(wanted, STORED)) == [message.payload for message in wanted]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=60), st.integers(1, 9), st.integers(1, 9))
def test_the_order_does_not_depend_on_how_it_is_read(made: list[tuple[bool, int]], one: int, other: int) -> None:
    wanted = stored(*(future(ns, seq=n) if book else equity(ns, n) for n, (book, ns) in enumerate(made)))
    rows = played(wanted, Choice(), one)
    assert rows == played(wanted, Choice(), other)
    assert sorted(payloads(rows)) == sorted(message.payload for message in wanted)
    for futures in (True, False):
        kept = [payload for subject, payload, *_ in rows if ("futures" in subject) is futures]
        assert kept == [message.payload for message in wanted if ("futures" in message.subject) is futures]


def test_late_events_count_and_snapshots_do_not() -> None:
    snapshot = future(-HOUR, is_snapshot=True, ts_recv_ns=STORED_NS + 95)
    made = [equity(0), future(0), snapshot, future(-HOUR, ts_recv_ns=STORED_NS + 99)]
    rows = played(stored(*made), STORED)
    assert [late for *_, late in rows] == [False, False, False, True]
    assert [sort_ns - STORED_NS for _, _, sort_ns, _ in rows] == [0, 0, 95, 99]
    wide = played(stored(*made), replace(STORED, reorder_ns=2 * HOUR))
    assert not any(late for *_, late in wide)


@given(st.integers(0, 60), st.integers(0, 60))
def test_a_range_is_half_open_and_ranges_that_meet_share_nothing(start: int, end: int) -> None:
    wanted = messages(1, 60)
    whole = played(wanted, Choice())
    places = [STORED_NS + number * 1_000_000 for number in sorted((start, end))]
    bounds = list(pairwise([0, *places, Choice().end_ns]))
    parts = [played(wanted, Choice(start_ns=first, end_ns=last)) for first, last in bounds]
    assert [row for part in parts for row in part] == whole
    for part, (first, last) in zip(parts, bounds, strict=True):
        assert all(first <= row[2] < last for row in part)


def test_subjects_and_a_first_sequence() -> None:
    wanted = messages(1, 60)
    books = SUBJECTS.index(subject_of(MBP10))
    rows = played(wanted, Choice(ranks=frozenset({books}), from_seq=30))
    assert payloads(rows) == [one.payload for one in wanted if one.seq >= 30 and one.subject == SUBJECTS[books]]
    assert played(wanted, Choice(ranks=frozenset())) == []


def test_pieces_are_bounded() -> None:
    sizes = [len(batch) for batch in in_order(Recorded(messages(1, 5_000), 5_000), STORED)]
    assert sum(sizes) == 5_000
    assert max(sizes) <= PIECE < 5_000


def test_payload_times_are_those_of_the_columns() -> None:
    (batch,) = in_order(Recorded(messages(1, 6)), STORED)
    assert batch.sort_ns.tolist() == [orjson.loads(payload)["ts_event_ns"] for payload in batch.payloads()]
    assert np.all(batch.sort_ns[1:] >= batch.sort_ns[:-1])


def jump(to_ns: int) -> Any:
    """What a replay says where it jumps: its own clock is of another year."""
    ns = STORED_NS + to_ns
    return Reset(ns, STORED_NS + 365 * 24 * HOUR, SOURCE, "run", ResetReason.SEEK, 0, ns, 1)


def test_a_jump_back_goes_on_from_where_it_jumped_and_nothing_is_late() -> None:
    made = [future(0), future(60_000), jump(10_000), future(9_000), future(12_000), jump(70_000), future(70_500)]
    wanted = stored(*made)
    for size in (1, 2, 100):
        rows = played(wanted, replace(STORED, reorder_ns=5_000), size)
        assert payloads(rows) == [message.payload for message in wanted]
        assert [sort_ns - STORED_NS for _, _, sort_ns, _ in rows] == [0, 60_000, 60_000, 60_000, 62_000, 70_000, 70_500]
        assert not any(late for *_, late in rows)
    unseen = played(wanted, replace(STORED, reorder_ns=5_000, ranks=frozenset({SUBJECTS.index(subject_of(MBP10))})))
    assert [row[1:] for row in unseen] == [row[1:] for row in rows if row[0] != "market.resets"]


def test_a_recording_may_begin_with_a_jump() -> None:
    rows = played(stored(jump(5_000), future(4_000), future(5_500)), STORED)
    assert [sort_ns - STORED_NS for _, _, sort_ns, _ in rows] == [5_000, 5_000, 5_500]


def test_in_stored_order_futures_of_another_day_are_not_late_beside_stocks() -> None:
    made = [equity(0), future(-24 * HOUR), equity(5_000), future(-24 * HOUR + 9)]
    rows = played(stored(*made), STORED)
    assert payloads(rows) == [message.payload for message in stored(*made)]
    assert not any(late for *_, late in rows)


def test_a_gap_is_told_afterwards_and_never_late() -> None:
    gap = replace(event(5), ts_event_ns=STORED_NS - HOUR, ts_recv_ns=STORED_NS + 95)
    rows = played(stored(equity(0), gap, equity(500)), Choice())
    assert [(sort_ns - STORED_NS, late) for _, _, sort_ns, late in rows] == [(0, False), (95, False), (500, False)]
