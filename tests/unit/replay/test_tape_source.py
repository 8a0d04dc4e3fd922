"""Tapes as the input of a replay: from any place on, under control, to the byte."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from spyctl.errors import ControlError
from spyctl.market.lines import StreamMessage
from spyctl.market.subjects import SUBJECTS
from spyctl.replay.commands import Unit
from spyctl.replay.pieces import Stretch
from spyctl.replay.segments import BEGINNING, Cursor
from spyctl.replay.session import Replay, ReplayOptions
from spyctl.replay.source import Reading
from spyctl.replay.tape_plan import make_tape_plan
from spyctl.replay.tape_source import TapeSource, subject_ranks
from spyctl.replay.tapes.catalog import scan_tapes
from spyctl.replay.tapes.order import Choice
from spyctl.replay.volume import Pace
from spyctl.timing.clock import MAX_SPEED, Speed
from tests.support.clock import JumpingClock
from tests.support.sinks import RecordingSink
from tests.support.tapes import STORED_NS, messages, record

MS = 1_000_000
STORED = messages(1, 300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tapes")
    record(folder, STORED)
    return folder


def source_of(folder: Path, **choice: Any) -> TapeSource:
    plan = make_tape_plan(scan_tapes(folder), Choice(**choice), Pace(MAX_SPEED, 0), what="tapes", origin="")
    return plan.source


def played(source: TapeSource, start: Cursor = BEGINNING, **limits: int) -> list[bytes]:
    return [payload for piece in Stretch(source, start, **limits).pieces() for payload in piece.payloads()]


def payloads(wanted: Sequence[StreamMessage]) -> list[bytes]:
    return [message.payload for message in wanted]


async def no_turn(_: float) -> None:
    """Nobody else wants one."""


def test_it_gives_the_payloads_of_the_tape(folder: Path) -> None:
    source = source_of(folder)
    assert played(source) == payloads(STORED)
    assert source.subjects == SUBJECTS[:6]
    reading = Reading()
    list(source.batches(BEGINNING, reading))
    assert (reading.read, reading.rejected, reading.damage) == (300, {}, [])


def test_it_goes_on_from_any_place(folder: Path) -> None:
    source = source_of(folder)
    for number in (1, 2, 150, 300):
        assert played(source, Cursor(STORED_NS + number * MS)) == payloads(STORED[number - 1 :])
        assert played(source, Cursor(STORED_NS + number * MS, 1)) == payloads(STORED[number:])
    assert played(source, skip=10, limit=5) == payloads(STORED[10:15])


def test_only_the_chosen_subjects_are_its_own(folder: Path) -> None:
    wanted = ("market.gaps", "market.futures.mbp10")
    source = source_of(folder, ranks=subject_ranks(wanted))
    assert source.subjects == ("market.futures.mbp10", "market.gaps")
    assert played(source) == payloads([message for message in STORED if message.subject in wanted])


def test_the_books_before_a_place_are_the_last_of_each_symbol(folder: Path) -> None:
    source = source_of(folder)
    books = [message for message in STORED if message.subject == "market.futures.mbp10"]
    assert source.books_before(Cursor(STORED_NS)) == []
    for number in (4, 5, 100):
        (book,) = source.books_before(Cursor(STORED_NS + number * MS, 1))
        assert book.payloads() == payloads([message for message in books if message.seq <= number][-1:])


@pytest.mark.parametrize(
    ("count", "unit", "seq"),
    [(1, Unit.EVENTS, 99), (10, Unit.EVENTS, 90), (1_000, Unit.EVENTS, 1), (2, Unit.TRADES, 98)],
)
async def test_a_step_back_is_so_many_before(folder: Path, count: int, unit: Unit, seq: int) -> None:
    place = await source_of(folder).so_many_back(Cursor(STORED_NS + 100 * MS), count, unit, no_turn)
    assert place == Cursor(STORED_NS + seq * MS)


async def test_seconds_back_are_event_time(folder: Path) -> None:
    place = await source_of(folder).so_many_back(Cursor(STORED_NS + 100 * MS), 1, Unit.SECONDS, no_turn)
    assert place == Cursor(STORED_NS + 100 * MS - 10**9)


def test_damage_is_noted_once_and_rejected_lines_count(tmp_path: Path) -> None:
    path = record(tmp_path, STORED[:100])
    path.write_bytes(path.read_bytes()[:-1])
    (tmp_path / "z.jsonl").write_bytes(b'{"nothing":1}\n' + b'{"subject":"market.gaps"}\n')
    source = source_of(tmp_path)
    reading = Reading()
    for _ in range(2):
        list(source.batches(BEGINNING, reading))
    assert [damage.reason for damage in reading.damage] == ["cut short"]
    strict = Reading(strict=True)
    assert sum(map(len, source.batches(BEGINNING, strict))) <= 50


def replay_of(folder: Path, sink: RecordingSink, **options: Any) -> Replay:
    plan = make_tape_plan(scan_tapes(folder), Choice(), Pace(MAX_SPEED, 0), what="tapes", origin="")
    given = ReplayOptions(**({"speed": MAX_SPEED, "span": plan.span} | options))
    return Replay(plan.source, sink, given, run_id="r", clock=JumpingClock())


@pytest.mark.parametrize("speed", [MAX_SPEED, Speed(1.0), Speed(10.0)])
async def test_the_same_bytes_in_the_same_order_at_any_speed(folder: Path, speed: Speed) -> None:
    sink = RecordingSink()
    replay = replay_of(folder, sink, speed=speed)
    await replay.run()
    assert sink.messages == [(message.subject, message.payload) for message in STORED]
    assert replay.complete
    assert {subject: replay.by_subject[subject] for subject in replay.subjects} == dict.fromkeys(SUBJECTS[:6], 50)


async def test_a_replay_of_a_tape_is_controlled_like_any_other(folder: Path) -> None:
    sink = RecordingSink()
    replay = replay_of(folder, sink, start_paused=True)
    running = asyncio.create_task(replay.run())
    await asyncio.sleep(0)
    await replay.control.send("step 5")
    assert [payload for _, payload in sink.messages] == payloads(STORED[:5])
    await replay.control.send(f"seek {STORED_NS + 200 * MS}")
    await replay.control.send("step")
    subjects = [subject for subject, _ in sink.messages[5:]]
    assert subjects == ["market.resets", "market.futures.mbp10", STORED[199].subject]
    assert sink.messages[-1][1] == STORED[199].payload
    await replay.control.send("step -1")
    await replay.control.send("next trade 3")
    await replay.control.send("step")
    assert sink.messages[-1][1] == STORED[200].payload  # where it stands does not count
    with pytest.raises(ControlError, match="there is no roll after"):
        await replay.control.send("next roll")
    await replay.control.send("resume")
    await running
    assert sink.messages[-1][1] == STORED[-1].payload
    assert replay.complete
