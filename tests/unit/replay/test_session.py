"""A replay from files into a sink: counts, ends, and the result that it leaves."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from spyctl.dbn.file_info import DBNFileInfo
from spyctl.errors import BusError, DamagedFileError
from spyctl.market.encode import EncodedBatch
from spyctl.replay.control import PlayState
from spyctl.replay.result import summary_of
from spyctl.replay.session import REPLAYED_SUBJECTS, Replay, ReplayOptions
from spyctl.replay.source import DBNIngestor
from spyctl.summary import StopReason, Verified
from spyctl.timing.clock import MAX_SPEED, Speed
from tests.support.clock import JumpingClock
from tests.support.records import DAY, MS, SECOND, T0, book, trade, write_file
from tests.support.sinks import RecordingSink

TRADES, BOOKS = REPLAYED_SUBJECTS


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_file(tmp_path, "trades", [trade(T0 + i * 20 * MS) for i in range(50)])
    write_file(tmp_path, "mbp-10", [book(T0 + i * MS) for i in range(1_000)])
    return tmp_path


def files(root: Path) -> list[DBNFileInfo]:
    return DBNIngestor(root).discover_files()


def replay_of(root: Path, sink: RecordingSink | None = None, **options: Any) -> Replay:
    given = ReplayOptions(**({"speed": MAX_SPEED} | options))
    return Replay(files(root), sink or RecordingSink(), given, run_id="r", clock=JumpingClock())


async def test_every_event_goes_to_the_sink_in_order_and_is_counted(root: Path) -> None:
    sink = RecordingSink()
    replay = replay_of(root, sink)
    await replay.run()
    assert sink.drained
    assert replay.progress.by_subject == {TRADES: 50, BOOKS: 1_000}
    times = [(orjson.loads(payload)["ts_event_ns"], subject != TRADES) for subject, payload in sink.messages]
    assert times == sorted(times)
    assert (replay.complete, replay.stopped_by, replay.read, replay.held) == (True, None, 1_050, 0)


async def test_the_last_event_of_each_subject_is_at_hand(root: Path) -> None:
    sink = RecordingSink()
    replay = replay_of(root, sink, prefix="DRILL")
    assert replay.subjects == (f"DRILL.{TRADES}", f"DRILL.{BOOKS}")
    assert replay.last_payload(f"DRILL.{TRADES}") is None
    await replay.run()
    for subject in REPLAYED_SUBJECTS:
        newest = [payload for name, payload in sink.messages if name == subject][-1]
        assert replay.last_payload(f"DRILL.{subject}") == newest


async def test_a_paced_replay_takes_as_long_as_its_events(root: Path) -> None:
    replay = replay_of(root, speed=Speed(2.0))
    await replay.run()
    assert replay.pace.event_ns == 999 * MS
    assert summary_of(replay).timing.speed_achieved == pytest.approx(2.0, rel=0.01)
    assert replay.wall_ns == pytest.approx(999 * MS / 2, rel=0.01)


async def test_a_stop_ends_it_after_what_is_in_flight_and_the_first_reason_stays(root: Path) -> None:
    class Stopping(RecordingSink):
        async def publish(self, batch: EncodedBatch) -> None:
            await super().publish(batch)
            if self.delivery.published > 100:
                replay.stop(StopReason.CTRL_C)
                replay.stop(StopReason.SIGTERM)

    sink = Stopping()
    replay = replay_of(root, sink, speed=Speed(1.0))
    assert replay.state is PlayState.PLAYING
    await replay.run()
    assert replay.state is PlayState.FINISHING
    assert sink.drained
    assert 100 < len(sink.messages) < 200
    assert (replay.complete, replay.stopped_by) == (False, StopReason.CTRL_C)
    assert summary_of(replay).exit_code == 130


async def test_a_count_ends_it_and_says_so(root: Path) -> None:
    replay = replay_of(root, count=7)
    await replay.run()
    assert (replay.delivery.published, replay.stopped_by, replay.complete) == (7, StopReason.COUNT, False)


async def test_a_resumed_replay_goes_on_behind_what_is_published(root: Path) -> None:
    whole, rest = RecordingSink(), RecordingSink()
    await replay_of(root, whole).run()
    resumed = replay_of(root, rest, skip=400)
    await resumed.run()
    assert rest.messages == whole.messages[400:]
    assert (resumed.read, summary_of(resumed).resumed_at) == (650, 400)


async def test_the_digest_is_the_same_for_the_same_input_at_any_speed(root: Path) -> None:
    replays = [replay_of(root), replay_of(root, speed=Speed(3.0)), replay_of(root, digest=False)]
    for replay in replays:
        await replay.run()
    assert replays[0].digest == replays[1].digest is not None
    assert replays[2].digest is None


async def test_what_the_stream_holds_is_compared_with_the_events_encoded_anew(root: Path) -> None:
    sink = RecordingSink()
    replay = replay_of(root, sink, skip=10, count=500)
    await replay.run()
    read_before = replay.read

    async def stored(without: int | None = None) -> AsyncIterator[list[tuple[int, str, bytes]]]:
        yield [(seq, *message) for seq, message in enumerate(sink.messages, 1) if seq != without]

    await replay.verify(stored())
    summary = summary_of(replay)
    assert summary.details.verified == Verified(490)
    assert (summary.exit_code, replay.read) == (0, read_before)
    await replay.verify(stored(without=7))
    summary = summary_of(replay)
    assert summary.details.verified == Verified(489, missing=1, first_difference=8)
    assert summary.exit_code == 3


async def test_a_file_that_vanishes_is_noted_and_the_rest_played(root: Path) -> None:
    path = write_file(root, "trades", [trade(T0 + 86_400 * SECOND)], day=DAY.replace(day=17))
    replay = replay_of(root)
    path.unlink()
    await replay.run()
    assert replay.delivery.acked == 1_050
    assert "cannot be opened" in replay.reading.damage[0].message
    assert (replay.complete, summary_of(replay).exit_code) == (False, 3)


async def test_strict_raises_the_damage_after_what_is_whole(root: Path) -> None:
    path = write_file(root, "trades", [trade(T0 + 86_400 * SECOND)], day=DAY.replace(day=17))
    replay = replay_of(root, strict=True)
    path.unlink()
    with pytest.raises(DamagedFileError, match="cannot be opened"):
        await replay.run()
    assert replay.delivery.acked == replay.delivery.published > 0


async def test_events_of_a_piece_that_is_on_its_way_are_counted_as_far_as_they_are_sent(root: Path) -> None:
    class Stuck(RecordingSink):
        async def publish(self, batch: EncodedBatch) -> None:
            await super().publish(batch[:7])
            raise BusError("gone")

    replay = replay_of(root, Stuck())
    with pytest.raises(BusError):
        await replay.run()
    summary = summary_of(replay)
    assert sum(summary.events.by_subject.values()) == summary.events.published == 7
