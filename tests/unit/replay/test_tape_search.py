"""Places on tapes, found from any other place, with milestones and without: those that a plain look at all finds."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spyctl.errors import ControlError
from spyctl.market.events import BidAskLevel
from spyctl.market.lines import StreamMessage
from spyctl.market.subjects import encode, subject_of
from spyctl.replay.commands import Find, Sight, Unit
from spyctl.replay.segments import BEGINNING, Cursor
from spyctl.replay.source import Reading
from spyctl.replay.tape_source import TapeSource, subject_ranks
from spyctl.replay.tapes import milestones
from spyctl.replay.tapes.catalog import grouped, scan_tapes
from spyctl.replay.tapes.milestones import beside
from spyctl.replay.tapes.order import Choice, TapeOrder
from spyctl.replay.tapes.playlist import Playlist
from spyctl.timing.instants import DAY, SECOND
from tests.support.days import no_turn, run
from tests.support.events import trade
from tests.support.tapes import STORED_NS, event, record

STEP = SECOND // 4
# kind of event; in quarter seconds its time after the one before, and how much later it was received; variant
EVENTS = st.lists(
    st.tuples(st.sampled_from([0, 1, 3, 4, 4, 5]), st.integers(-2, 4), st.integers(-6, 6), st.integers(0, 2)),
    min_size=1,
    max_size=40,
)
CHOICES = st.sampled_from(
    [
        Choice(),
        Choice(TapeOrder.STORED),
        Choice(reorder_ns=3 * SECOND),
        Choice(ranks=subject_ranks(["market.futures.trades", "market.futures.mbp10"])),
        Choice(start_ns=STORED_NS + 5 * SECOND, end_ns=STORED_NS + 15 * SECOND),
        Choice(from_seq=5),
    ]
)
Made = list[tuple[int, int, int, int]]


def book(number: int, wide: bool) -> Any:
    level = BidAskLevel(6_800.0, 1, 6_801.0 if wide else 6_800.25, 1)
    made = event(4)
    return replace(made, symbol=f"ES{number}", levels=(level, *made.levels[1:]))


def stored(made: Made) -> list[StreamMessage]:
    """Messages whose times are as they were drawn; the second half is of the next trading day."""
    found, ns = [], STORED_NS
    for seq, (kind, ahead, delay, variant) in enumerate(made, 1):
        ns += ahead * STEP
        one = book(variant, wide=variant == 1) if kind == 4 else event(kind)
        if kind in (0, 3):
            one = replace(one, size=(1, 50, 60)[variant])
        one = replace(one, ts_event_ns=ns, ts_recv_ns=ns + delay * STEP)
        later = DAY if seq > len(made) // 2 else 0
        found.append(StreamMessage(seq, subject_of(one), STORED_NS + later + seq, encode(one), 0))
    return found


@contextmanager
def sources(made: Made, choice: Choice) -> Iterator[tuple[TapeSource, TapeSource]]:
    """The same tapes, with a milestone behind each frame, and without any."""
    with TemporaryDirectory() as folder, patch.object(milestones, "EVERY_BYTES", 1):
        record(Path(folder), stored(made), frame=3)
        groups = grouped(scan_tapes(Path(folder)))
        for group in groups:
            assert beside(group[0]).read()
        with patch("spyctl.replay.tapes.playlist.known_milestones", lambda _: []):
            plain = TapeSource(Playlist(groups), choice, ())
            for number in range(len(groups)):
                assert plain.playlist._known(number) == []
        yield TapeSource(Playlist(groups), choice, ()), plain


Rows = list[tuple[Cursor, str, bytes, bool]]


def rows_from(source: TapeSource, start: Cursor) -> Rows:
    """The messages from a place on, each with its own place."""
    at, found = start if start == BEGINNING else Cursor(start.sort_ns), []
    for batch in source.batches(start, Reading()):
        for rank, ns, late, payload in zip(
            batch.ranks.tolist(), batch.sort_ns.tolist(), batch.late.tolist(), batch.payloads(), strict=True
        ):
            at = Cursor(ns, at.ordinal if at.sort_ns == ns else 0)
            found.append((at, str(rank), payload, late))
            at = Cursor(ns, at.ordinal + 1)
    return found


def places_of(rows: Rows) -> list[Cursor]:
    return [Cursor(ns + shift) for ns in {row[0].sort_ns for row in rows} for shift in (-SECOND, 0, 1)] + [
        row[0] for row in rows
    ]


@settings(max_examples=35)
@given(EVENTS, CHOICES, st.data())
def test_from_any_place_on_it_reads_the_same(made: Made, choice: Choice, data: st.DataObject) -> None:
    with sources(made, choice) as (source, plain):
        rows = rows_from(plain, BEGINNING)
        assert rows_from(source, BEGINNING) == rows
        for place in data.draw(st.lists(st.sampled_from(places_of(rows)), max_size=5)) if rows else []:
            assert rows_from(source, place) == rows_from(plain, place)
            books = [batch.payloads() for batch in source.books_before(place)]
            assert books == [batch.payloads() for batch in plain.books_before(place)]
            if not choice.start_ns:
                assert [row for row in rows_from(source, place) if row[0].sort_ns >= place.sort_ns] == [
                    row for row in rows if row[0].sort_ns >= place.sort_ns
                ]


@settings(max_examples=35)
@given(
    EVENTS,
    CHOICES,
    st.sampled_from([Sight.TRADE, Sight.LATE, Sight.SPREAD, Sight.GAP, Sight.TROUBLE]),
    st.booleans(),
    st.data(),
)
def test_what_is_searched_for_is_the_nearest(
    made: Made, choice: Choice, sight: Sight, behind: bool, data: st.DataObject
) -> None:
    with sources(made, choice) as (source, plain):
        rows = rows_from(plain, BEGINNING)
        hits = [at for at, *row in rows if _is(sight, row, rows)]
        for place in data.draw(st.lists(st.sampled_from(places_of(rows)), max_size=4)) if rows else []:
            following = [at for at in hits if at > place or (at == place and not behind)]
            found = run(source.find(Find(sight), place, no_turn, behind=behind))
            assert found == (following[0] if following else None)
            before = [at for at in hits if at < place]
            found = run(source.find(Find(sight, backward=True), place, no_turn, behind=behind))
            assert found == (before[-1] if before else None)


def _is(sight: Sight, row: Sequence[Any], rows: Rows) -> bool:
    rank, payload, late = row
    if sight in (Sight.LATE, Sight.GAP, Sight.TROUBLE):
        return (late and sight is not Sight.GAP) or (rank == "5" and sight is not Sight.LATE)
    if sight is Sight.TRADE:
        return any(b'"size":%d' % size in payload for size in (50, 60))
    narrow = any(b'"ask_px":6800.25,' in other for _, _, other, _ in rows)
    return narrow and b'"bid_px":6800.0,"bid_sz":1,"ask_px":6801.0' in payload


@settings(max_examples=25)
@given(EVENTS, CHOICES, st.integers(1, 12), st.sampled_from([Unit.EVENTS, Unit.TRADES]), st.data())
def test_so_many_back(made: Made, choice: Choice, count: int, unit: Unit, data: st.DataObject) -> None:
    with sources(made, choice) as (source, plain):
        rows = rows_from(plain, BEGINNING)
        for place in data.draw(st.lists(st.sampled_from(places_of(rows)), max_size=4)) if rows else []:
            before = [at for at, _, payload, _ in rows if at < place and (unit is Unit.EVENTS or b'"price"' in payload)]
            found = run(source.so_many_back(place, count, unit, no_turn))
            assert found == (before[max(0, len(before) - count)] if before else place)


def test_a_jump_reads_the_frames_around_its_place_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(milestones, "EVERY_BYTES", 1)
    many = [
        StreamMessage(seq, subject_of(one), STORED_NS + seq, encode(one), 0)
        for seq in range(1, 2_001)
        for one in [replace(event(4 if seq == 7 else 0), ts_event_ns=STORED_NS + seq, ts_recv_ns=STORED_NS + seq)]
    ]
    record(tmp_path, many, frame=10)
    source = TapeSource(Playlist(grouped(scan_tapes(tmp_path))), Choice(reorder_ns=1), ())
    read: list[int] = []
    monkeypatch.setattr("spyctl.replay.tapes.reader.read_lines", _counting(read))
    first = next(batch for batch in source.batches(Cursor(STORED_NS + 1_900), Reading()) if len(batch))
    assert first.sort_ns[0] == STORED_NS + 1_900
    assert sum(read) <= 60  # by two feeds
    read.clear()
    assert [batch.payloads() for batch in source.books_before(Cursor(STORED_NS + 1_900))] == [[many[6].payload]]
    assert sum(read) <= 80


def _counting(read: list[int]) -> Callable[..., Any]:
    from spyctl.replay.tapes.lines import read_lines

    def counted(text: bytes, subjects: tuple[str, ...]) -> Any:
        lines = read_lines(text, subjects)
        read.append(len(lines))
        return lines

    return counted


def test_a_search_ends_where_its_turn_ends_it(tmp_path: Path) -> None:
    one = trade(ts_event_ns=STORED_NS, ts_recv_ns=STORED_NS)
    record(tmp_path, [StreamMessage(1, subject_of(one), STORED_NS, encode(one), 0)])
    source = TapeSource(Playlist(grouped(scan_tapes(tmp_path))), Choice(), ())

    async def ended(_: float) -> None:
        raise ControlError("ended", "")

    for search in (
        source.find(Find(Sight.TRADE), BEGINNING, ended, behind=False),
        source.find(Find(Sight.SPREAD), BEGINNING, ended, behind=False),
        source.so_many_back(Cursor(STORED_NS, 1), 1, Unit.EVENTS, ended),
    ):
        with pytest.raises(ControlError, match="ended"):
            asyncio.run(search)  # type: ignore[arg-type]


@pytest.mark.parametrize("later_ns", [0, DAY])
def test_a_clock_that_runs_behind_is_read_as_from_the_beginning(tmp_path: Path, later_ns: int) -> None:
    # The last one was received before the others, and is not late beside them: their newest time has to be known.
    times = [(0, 0), (9, 9), (40, 40), (42, 32)]
    made = [trade(ts_event_ns=STORED_NS + at * STEP, ts_recv_ns=STORED_NS + recv * STEP) for at, recv in times]
    with patch.object(milestones, "EVERY_BYTES", 1):
        record(
            tmp_path,
            [
                StreamMessage(seq, subject_of(one), STORED_NS + seq + later_ns * (seq > 3), encode(one), 0)
                for seq, one in enumerate(made, 1)
            ],
            frame=3,
        )
    source = TapeSource(Playlist(grouped(scan_tapes(tmp_path))), Choice(), ())
    (row,) = rows_from(source, Cursor(STORED_NS + 41 * STEP))
    assert (row[0], row[3]) == (Cursor(STORED_NS + 42 * STEP), False)
    assert [row] == rows_from(source, BEGINNING)[3:]


def test_a_search_tells_how_far_it_is(tmp_path: Path) -> None:
    made = [trade(ts_event_ns=STORED_NS + at * STEP, ts_recv_ns=STORED_NS + at * STEP, size=1) for at in range(40)]
    with patch.object(milestones, "EVERY_BYTES", 1):
        record(
            tmp_path,
            [StreamMessage(seq, subject_of(one), STORED_NS + seq, encode(one), 0) for seq, one in enumerate(made, 1)],
            frame=10,
        )
    source = TapeSource(Playlist(grouped(scan_tapes(tmp_path))), Choice(), ())
    told: list[float] = []

    async def tell(done: float) -> None:
        told.append(done)

    for wanted in (Find(Sight.TRADE), Find(Sight.TRADE, backward=True)):
        told.clear()
        assert run(source.find(wanted, Cursor(STORED_NS + 39 * STEP * wanted.backward), tell, behind=False)) is None
        assert all(0 <= done <= 1 for done in told)
        assert max(told) > 0.5
