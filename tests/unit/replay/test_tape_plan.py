"""How much a replay of tapes would play, and what tells it from another."""

from pathlib import Path
from typing import Any

import pytest

from spyctl.market.columns import SOURCE
from spyctl.market.events import Reset, ResetReason
from spyctl.market.lines import StreamMessage
from spyctl.market.subjects import encode
from spyctl.replay import tape_plan as module
from spyctl.replay.segments import BEGINNING
from spyctl.replay.source import Reading
from spyctl.replay.tape_plan import TapePlan, make_tape_plan
from spyctl.replay.tapes.catalog import scan_tapes
from spyctl.replay.tapes.order import Choice, TapeOrder
from spyctl.replay.tapes.playlist import Playlist
from spyctl.replay.volume import Pace
from spyctl.timing.clock import Speed
from spyctl.timing.instants import DAY, SECOND
from tests.support.tapes import STORED_NS, message, messages, record

MS = 1_000_000


def plan_of(folder: Path, *, count: int | None = None, quiet_ns: int = 5 * SECOND, **choice: Any) -> TapePlan:
    pace = Pace(Speed(1.0), quiet_ns)
    return make_tape_plan(scan_tapes(folder), Choice(**choice), pace, what="tapes", origin="--date", count=count)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    record(tmp_path, messages(1, 60))
    return tmp_path


def test_small_tapes_are_counted(folder: Path) -> None:
    plan = plan_of(folder)
    assert plan.volume.exact
    assert {name: number for name, number in plan.volume.events.items() if number} == dict.fromkeys(
        ("stocks.trades", "stocks.quotes", "options.trades", "futures.trades", "futures.mbp10", "gaps"), 10
    )
    assert (plan.volume.first_ns, plan.volume.last_ns) == (STORED_NS + MS, STORED_NS + 60 * MS)
    assert plan.span is not None
    assert (plan.span.first_ns, plan.span.slack_ns) == (STORED_NS + MS, 0)
    assert [str(day) for day in plan.dates] == ["2025-12-16"]
    size = sum(len(one.payload) for one in messages(1, 60))
    assert plan.stream_bytes == 60 * (size // 60 + 75)
    assert plan.fits(plan.stream_bytes)
    assert not plan.fits(plan.stream_bytes - 1)


def test_ranges_and_counts(folder: Path) -> None:
    part = plan_of(folder, start_ns=STORED_NS + 10 * MS, end_ns=STORED_NS + 20 * MS)
    assert sum(part.volume.events.values()) == 10
    assert sum(plan_of(folder, count=7).volume.events.values()) == 7
    nothing = plan_of(folder, start_ns=STORED_NS + SECOND)
    assert (nothing.volume.first_ns, nothing.span, nothing.quiet, nothing.source.subjects) == (None, None, (), ())


def test_quiet_stretches_are_found(tmp_path: Path) -> None:
    record(tmp_path, [*messages(1, 20), *messages(200, 210)])
    assert plan_of(tmp_path, quiet_ns=100 * MS).quiet == [(STORED_NS + 20 * MS, STORED_NS + 200 * MS)]


def test_large_tapes_are_estimated_by_their_sidecars(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_COUNTED", 0)
    plan = plan_of(folder, ranks=frozenset({0}))
    assert not plan.volume.exact
    assert plan.volume.events["stocks.trades"] == 10
    assert sum(plan.volume.events.values()) == 10
    assert plan.source.subjects == ("market.stocks.trades",)
    assert plan.span is not None
    assert plan.span.slack_ns == SECOND
    # What is late has its sort time elsewhere than its event time: no subject is left out for its times.
    assert len(plan_of(folder, start_ns=STORED_NS + SECOND).source.subjects) == 6
    half = plan_of(folder, end_ns=STORED_NS + 30 * MS)
    assert 20 <= sum(half.volume.events.values()) <= 40
    assert max(plan_of(folder, count=3).volume.events.values()) == 3


def test_inputs_and_content_tell_one_replay_from_another(folder: Path, tmp_path: Path) -> None:
    plan = plan_of(folder)
    (told,) = plan.inputs
    assert told["path"] == "MARKET_DATA-2025-12-16.jsonl.zst"
    assert told["digest"]
    assert plan.content != plan_of(folder, order=TapeOrder.STORED).content
    assert plan.content != plan_of(folder, from_seq=3).content
    assert plan.content == plan_of(folder).content
    record(tmp_path, [message(100, stored_ns=STORED_NS + DAY)])
    assert len(plan_of(tmp_path).inputs) == 2


def test_a_tape_of_one_feed_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(tmp_path, [one for one in messages(1, 60) if "futures" in one.subject])
    plan = plan_of(tmp_path)
    readings: list[int] = []
    lines = Playlist.lines
    monkeypatch.setattr(Playlist, "lines", lambda self, *given: (readings.append(1), lines(self, *given))[1])
    assert sum(len(batch) for batch in plan.source.batches(BEGINNING, Reading())) == 20
    assert len(readings) == 1


def test_a_replay_that_jumped_is_played_in_stored_order(tmp_path: Path) -> None:
    books = [one for one in messages(1, 60) if one.subject == "market.futures.mbp10"]
    reset = encode(Reset(STORED_NS, STORED_NS, SOURCE, "r", ResetReason.LOOP, STORED_NS, STORED_NS, 1))
    jumped = StreamMessage(books[-1].seq + 1, "market.resets", books[-1].stored_ns + 1, reset, 0)
    again = [StreamMessage(one.seq + 60, one.subject, one.stored_ns + SECOND, one.payload, 0) for one in books]
    record(tmp_path, [*books, jumped, *again])
    plan = plan_of(tmp_path)
    assert (plan.jumps, plan.source.choice.order, plan.volume.events["resets"]) == (1, TapeOrder.STORED, 1)
    rows = [payload for batch in plan.source.batches(BEGINNING, Reading()) for payload in batch.payloads()]
    assert rows == [one.payload for one in (*books, jumped, *again)]
    assert plan_of(tmp_path, ranks=plan.source.choice.ranks).content == plan.content
