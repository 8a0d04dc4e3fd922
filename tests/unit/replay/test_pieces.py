"""What is read of the files: all of it, from a position on, up to a count."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from spyctl.dbn.sort_times import Selection
from spyctl.replay.file_source import FileSource
from spyctl.replay.pieces import YIELD_EVERY_NS, Stretch, in_turns
from spyctl.replay.segments import BEGINNING, Cursor
from spyctl.replay.source import DBNIngestor
from tests.support.clock import FakeClock
from tests.support.records import MS, SECOND, T0, book, trade, write_file


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_file(tmp_path, "trades", [trade(T0 + i * 20 * MS) for i in range(50)])
    write_file(tmp_path, "mbp-10", [book(T0 + i * MS) for i in range(1_000)])
    return tmp_path


def stretch(root: Path, skip: int = 0, limit: int | None = None, start: Cursor = BEGINNING) -> Stretch:
    return Stretch(FileSource(DBNIngestor(root).discover_files(), Selection()), start, skip, limit)


def payloads(stretch: Stretch) -> list[bytes]:
    return [payload for piece in stretch.pieces() for payload in piece.payloads()]


@pytest.mark.parametrize("skip", [0, 1, 17, 1_049, 1_050, 2_000])
@pytest.mark.parametrize("limit", [None, 0, 1, 17, 18, 1_050, 3_000])
def test_skip_and_limit_cut_a_stretch_out_of_the_one_order(root: Path, skip: int, limit: int | None) -> None:
    whole = payloads(stretch(root))
    assert len(whole) == 1_050
    assert payloads(stretch(root, skip, limit)) == whole[skip:][:limit]


def test_it_tells_how_many_were_skipped_and_whether_the_limit_ended_it(root: Path) -> None:
    cut = stretch(root, skip=10, limit=20)
    assert len(payloads(cut)) == 20
    assert (cut.skipped, cut.cut) == (10, True)
    whole = stretch(root, limit=3_000)
    payloads(whole)
    assert (whole.skipped, whole.cut) == (0, False)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("ordinal", [0, 1, 3])
def test_from_any_place_on_it_is_the_rest_of_the_whole(tmp_path: Path, ordinal: int, *, compressed: bool) -> None:
    write_file(tmp_path, "trades", [trade(T0 + i * 20 * MS) for i in range(900)], compressed=compressed)
    write_file(tmp_path, "mbp-10", [book(T0 + i // 3 * MS) for i in range(50_000)], compressed=compressed)
    whole = payloads(stretch(tmp_path))
    times = np.concatenate([piece.sort_ns for piece in stretch(tmp_path).pieces()])
    for ns in (T0 - SECOND, T0, T0 + 20 * MS, T0 + 7_013 * MS, int(times[-1])):
        first = int(np.searchsorted(times, ns))
        rest = stretch(tmp_path, start=Cursor(ns, ordinal), skip=2)
        assert payloads(rest) == whole[first + ordinal + 2 :]
        assert rest.read == max(0, len(whole) - first - ordinal - 2)


async def test_others_have_their_turn_while_reading_takes_long(root: Path) -> None:
    clock, turns = FakeClock(), 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    await asyncio.sleep(0)
    pieces = [piece for piece in stretch(root).pieces() if len(piece)]
    async for _ in in_turns(iter(pieces), clock):
        assert turns == 1
    async for _ in in_turns(iter(pieces), clock):
        clock.advance(YIELD_EVERY_NS + 1)
    beside.cancel()
    assert turns == len(pieces)  # one before each piece but the first, and the one before all of it


async def test_others_have_their_turn_while_nothing_can_be_released(root: Path) -> None:
    clock, turns = FakeClock(), []
    empty = next(stretch(root).pieces())[:0]
    beside = asyncio.create_task(asyncio.sleep(0))
    beside.add_done_callback(turns.append)
    async for _ in in_turns(iter([empty] * 3), clock):
        pass
    assert turns == [beside]
