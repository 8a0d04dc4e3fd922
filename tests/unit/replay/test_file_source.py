"""Files as a source of a replay; and that a source of another kind is played and controlled the same way."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spyctl.dbn.normalize import RecordCounts
from spyctl.dbn.sort_times import Selection
from spyctl.market.encode import EncodedBatch
from spyctl.market.events import MBP10
from spyctl.market.subjects import rank_of, subject_of
from spyctl.replay.commands import Find, Sight, Unit
from spyctl.replay.file_source import FileSource
from spyctl.replay.pieces import Source, Turn
from spyctl.replay.segments import Cursor
from spyctl.replay.session import Replay, ReplayOptions
from spyctl.replay.source import DBNIngestor, Reading
from spyctl.replay.targets import Span
from spyctl.timing.clock import MAX_SPEED
from tests.support.clock import JumpingClock
from tests.support.days import no_turn, run
from tests.support.records import SECOND, T0, book, trade, write_file
from tests.support.sinks import RecordingSink

EVENTS = 10
BOOK = rank_of(subject_of(MBP10))


@pytest.fixture
def files(tmp_path: Path) -> FileSource:
    write_file(tmp_path, "trades", [trade(T0 + i * SECOND, size=60 if i == 3 else 1) for i in range(EVENTS)])
    write_file(tmp_path, "mbp-10", [book(T0 + SECOND)])
    return FileSource(tuple(DBNIngestor(tmp_path).discover_files()), Selection())


@dataclass
class InMemory:
    """The batches of another source, kept in memory; it knows no files."""

    kept: list[EncodedBatch]
    subjects: tuple[str, ...]

    def batches(self, start: Cursor, reading: Reading) -> Iterator[EncodedBatch]:
        reading.counts.append(counts := RecordCounts())
        for batch in self.kept:
            later = batch[int((batch.sort_ns < start.sort_ns).sum()) :]
            counts.read += len(later)
            yield later

    def encode(self, batch: EncodedBatch) -> Iterator[EncodedBatch]:
        yield batch

    async def prepare(self) -> None:
        pass

    def span(self) -> Span:
        return Span(int(self.kept[0].sort_ns[0]), int(self.kept[-1].sort_ns[-1]))

    def books_before(self, place: Cursor) -> list[EncodedBatch]:
        books = [batch[i : i + 1] for batch in self.kept for i in np.flatnonzero(batch.ranks == BOOK).tolist()]
        return books if place.sort_ns > T0 + SECOND else []

    async def so_many_back(self, place: Cursor, count: int, unit: Unit, turn: Turn) -> Cursor:
        return Cursor(place.sort_ns - count * SECOND)

    async def find(self, wanted: Find, place: Cursor, turn: Turn, *, behind: bool) -> Cursor | None:
        return Cursor(T0 + 3 * SECOND)

    def rolls(self, first_ns: int, last_ns: int) -> list[int]:
        return [T0 + 5 * SECOND]


def in_memory(files: FileSource) -> InMemory:
    pieces = [piece for batch in files.batches(Cursor(), Reading()) for piece in files.encode(batch)]
    return InMemory([piece for piece in pieces if len(piece)], files.subjects)


async def controlled(source: Source) -> tuple[list[tuple[str, bytes]], Any]:
    """The messages of a replay of a source that is stepped, sought, searched and then played to its end."""
    sink = RecordingSink()
    replay = Replay(source, sink, ReplayOptions(MAX_SPEED, start_paused=True), run_id="r", clock=JumpingClock())
    running = asyncio.create_task(replay.run())
    await asyncio.sleep(0)
    for words in ("step 2", f"seek {T0 + 3 * SECOND}", "step -1", "next trade", "next roll", "resume"):
        await replay.control.send(words)
    await running
    assert replay.complete
    return sink.messages, replay.track.read - replay.track.skipped


async def test_a_source_of_another_kind_is_controlled_as_files_are(files: FileSource) -> None:
    rolling = [T0 + 5 * SECOND]
    files_that_roll = type("Rolling", (FileSource,), {"rolls": lambda *_: rolling})(files.infos, files.selection)
    one, read = await controlled(files_that_roll)
    assert (one, read) == await controlled(in_memory(files))
    assert sum(subject == "market.resets" for subject, _ in one) == 4


def test_files_are_searched_and_know_their_span(files: FileSource) -> None:
    assert run(files.find(Find(Sight.TRADE), Cursor(T0), no_turn, behind=False)) == Cursor(T0 + 3 * SECOND)
    back = Find(Sight.TRADE, backward=True)
    assert run(files.find(back, Cursor(T0 + 9 * SECOND), no_turn, behind=False)) == Cursor(T0 + 3 * SECOND)
    assert run(files.find(Find(Sight.LATE), Cursor(T0), no_turn, behind=False)) is None
    assert files.span().first_ns - T0 < SECOND // 1000
    assert files.span().slack_ns == SECOND
    assert [len(each) for each in files.books_before(Cursor(T0 + 2 * SECOND))] == [1]
