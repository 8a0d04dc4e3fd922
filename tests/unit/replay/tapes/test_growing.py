"""Tapes that grow while they are played: no event is missed, and waiting is neither behind nor deaf."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from spyctl.errors import StreamGoneError
from spyctl.market.subjects import SUBJECTS
from spyctl.replay.session import Replay, ReplayOptions
from spyctl.replay.tape_plan import make_tape_plan
from spyctl.replay.tapes.catalog import scan_tapes
from spyctl.replay.tapes.growing import GrowingPlaylist
from spyctl.replay.tapes.order import Choice
from spyctl.replay.tapes.recording import Recording
from spyctl.replay.volume import Pace
from spyctl.timing.clock import MAX_SPEED, Speed
from spyctl.timing.instants import DAY
from tests.support.sinks import RecordingSink
from tests.support.tapes import ORIGIN, STORED_NS, message, messages
from tests.support.waiting import eventually

NEXT_DAY = [message(number, stored_ns=STORED_NS + DAY + number) for number in range(101, 121)]


class Growing:
    """A recording that a test goes on with."""

    def __init__(self, folder: Path) -> None:
        self.recording = Recording(folder, ORIGIN)
        self.failure: Exception | None = None
        self.over = False

    @property
    def tapes(self) -> Sequence[tuple[Path, int]]:
        return [(path, path.stat().st_size) for path in self.recording.tapes]

    @property
    def ended(self) -> bool:
        if self.failure is not None:
            raise self.failure
        return self.over


@pytest.fixture
def growing(tmp_path: Path) -> Growing:
    made = Growing(tmp_path)
    made.recording.write(messages(1, 50), 50)
    return made


def test_what_has_not_come_is_waited_for_over_the_end_of_a_day(growing: Growing) -> None:
    lines = GrowingPlaylist(growing).lines()
    found = next(lines).messages(SUBJECTS)
    assert not next(lines)
    growing.recording.write(messages(51, 100), 100)
    found += next(lines).messages(SUBJECTS)
    assert not next(lines)
    growing.recording.write(NEXT_DAY, 120)
    found += next(lines).messages(SUBJECTS)
    assert not next(lines)
    growing.over = True
    assert list(lines) == []
    assert found == [*messages(1, 100), *NEXT_DAY]
    growing.recording.close()


def test_a_frame_that_is_half_written_is_left_for_later(growing: Growing, monkeypatch: pytest.MonkeyPatch) -> None:
    path, size = growing.tapes[0]
    growing.recording.write(messages(51, 60), 60)
    whole = growing.tapes[0][1]
    monkeypatch.setattr(Growing, "tapes", [(path, size)])
    lines = GrowingPlaylist(growing).lines()
    assert len(next(lines)) == 50
    assert not next(lines)
    monkeypatch.setattr(Growing, "tapes", [(path, whole)])
    assert len(next(lines)) == 10
    growing.recording.close()


def replay_of(growing: Growing, folder: Path, sink: RecordingSink, speed: Speed) -> Replay:
    playlist = GrowingPlaylist(growing)
    plan = make_tape_plan(scan_tapes(folder), Choice(), Pace(speed, 0), what="stream", origin="", growing=playlist)
    return Replay(plan.source, sink, ReplayOptions(speed, span=plan.span), run_id="r")


@pytest.mark.parametrize("speed", [MAX_SPEED, Speed(1_000.0)])
async def test_it_goes_on_with_what_comes_and_is_controlled_meanwhile(
    growing: Growing, tmp_path: Path, speed: Speed
) -> None:
    sink = RecordingSink()
    replay = replay_of(growing, tmp_path, sink, speed)
    running = asyncio.create_task(replay.run())
    await eventually(lambda: len(sink.messages) == 50)
    await replay.control.send("pause")
    growing.recording.write(messages(51, 100), 100)
    await replay.control.send("step 3")
    assert [payload for _, payload in sink.messages] == [one.payload for one in messages(1, 53)]
    await replay.control.send("resume")
    await eventually(lambda: len(sink.messages) == 100)
    await replay.control.send(f"seek {STORED_NS + 40_000_000}")
    await eventually(lambda: sink.messages[-1][1] == message(100).payload and replay.track.segments == 2)
    growing.recording.write(NEXT_DAY, 120)
    await eventually(lambda: sink.messages[-1][1] == NEXT_DAY[-1].payload)
    growing.over = True
    await running
    assert replay.complete
    assert replay.pace.stalls == 0
    growing.recording.close()


async def test_what_ends_the_growth_ends_the_replay(growing: Growing, tmp_path: Path) -> None:
    sink = RecordingSink()
    running = asyncio.create_task(replay_of(growing, tmp_path, sink, MAX_SPEED).run())
    await eventually(lambda: len(sink.messages) == 50)
    growing.failure = StreamGoneError("it was deleted")
    with pytest.raises(StreamGoneError):
        await running
    growing.recording.close()
