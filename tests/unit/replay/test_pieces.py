"""What is read of the files: all of it, from a position on, up to a count."""

import asyncio
from pathlib import Path

import pytest

from spyctl.dbn.sort_times import Selection
from spyctl.replay.pieces import YIELD_EVERY_NS, FileSource, in_turns
from spyctl.replay.source import DBNIngestor, Reading
from tests.support.clock import FakeClock
from tests.support.records import MS, T0, book, trade, write_file


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_file(tmp_path, "trades", [trade(T0 + i * 20 * MS) for i in range(50)])
    write_file(tmp_path, "mbp-10", [book(T0 + i * MS) for i in range(1_000)])
    return tmp_path


def source(root: Path, skip: int = 0, count: int | None = None) -> FileSource:
    return FileSource(DBNIngestor(root).discover_files(), Selection(), skip, count)


def payloads(source: FileSource) -> list[bytes]:
    return [payload for piece in source.pieces(Reading()) for payload in piece.payloads()]


@pytest.mark.parametrize("skip", [0, 1, 17, 1_049, 1_050, 2_000])
@pytest.mark.parametrize("count", [None, 1, 17, 18, 1_050, 3_000])
def test_skip_and_count_cut_a_stretch_out_of_the_one_order(root: Path, skip: int, count: int | None) -> None:
    whole = payloads(source(root))
    assert len(whole) == 1_050
    assert payloads(source(root, skip, count)) == whole[skip:][: None if count is None else max(0, count - skip)]


def test_it_tells_how_many_were_skipped_and_whether_the_count_ended_it(root: Path) -> None:
    cut = source(root, skip=10, count=30)
    assert len(payloads(cut)) == 20
    assert (cut.skipped, cut.cut) == (10, True)
    whole = source(root, count=3_000)
    payloads(whole)
    assert (whole.skipped, whole.cut) == (0, False)


def test_the_same_source_can_be_read_again(root: Path) -> None:
    stretch = source(root, skip=10, count=30)
    assert payloads(stretch) == payloads(stretch)
    assert stretch.skipped == 10


async def test_others_have_their_turn_while_reading_takes_long(root: Path) -> None:
    clock, turns = FakeClock(), 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    await asyncio.sleep(0)
    pieces = [piece for piece in source(root).pieces(Reading()) if len(piece)]
    async for _ in in_turns(iter(pieces), clock):
        assert turns == 1
    async for _ in in_turns(iter(pieces), clock):
        clock.advance(YIELD_EVERY_NS + 1)
    beside.cancel()
    assert turns == len(pieces)  # one before each piece but the first, and the one before all of it


async def test_others_have_their_turn_while_nothing_can_be_released(root: Path) -> None:
    clock, turns = FakeClock(), []
    empty = next(source(root).pieces(Reading()))[:0]
    beside = asyncio.create_task(asyncio.sleep(0))
    beside.add_done_callback(turns.append)
    async for _ in in_turns(iter([empty] * 3), clock):
        pass
    assert turns == [beside]
