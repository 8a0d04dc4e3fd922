"""Taking messages from a reader to the tapes: what is noted, told and acknowledged, and when."""

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from spyctl.bus.target import Target
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.record_run import Recorder, RecordRequest, _consumer_name, _recorded_subjects
from spyctl.errors import ExitCode, FullDiskError, StreamGoneError
from spyctl.market.lines import StreamMessage
from spyctl.market.subjects import SUBJECTS
from spyctl.replay.tapes.recording import Recording
from spyctl.summary import StopReason
from tests.support.connection import ScriptedConnection
from tests.support.tapes import ORIGIN, messages, sidecar_of, stored_on

Step = Sequence[StreamMessage] | tuple[int, int] | Exception


class ScriptedReader:
    """Returns messages, notes holes, raises: one step after the other; at the end it has caught up."""

    def __init__(self, *steps: Step, last_seq: int = 0) -> None:
        self.steps = list(steps)
        self.holes: list[tuple[int, int]] = []
        self.read_to_seq = self.pending = 0
        self.acknowledged: list[int] = []
        self.last_seq = last_seq

    async def read(self, _timeout_s: float) -> Sequence[StreamMessage]:
        step = self.steps.pop(0) if self.steps else ()
        if isinstance(step, Exception):
            raise step
        if isinstance(step, tuple) and step:
            self.holes.append(step)
            self.read_to_seq = step[1]
            return ()
        if step:
            self.read_to_seq = step[-1].seq
        elif not self.steps:
            self.read_to_seq = max(self.read_to_seq, self.last_seq)
        return step  # type: ignore[return-value]

    async def look(self) -> bool:
        return not self.steps

    async def acknowledge(self) -> None:
        self.acknowledged.append(self.read_to_seq)


@pytest.fixture
def recording(tmp_path: Path) -> Any:
    recording = Recording(tmp_path, ORIGIN)
    yield recording
    recording.abandon()


def recorder(recording: Recording, reader: ScriptedReader, end_seq: int | None = None) -> Recorder:
    connection: Any = ScriptedConnection()
    scripted: Any = reader
    return Recorder(connection, recording, scripted, Reporter(), end_seq=end_seq)


async def test_everything_is_on_tape_before_it_is_acknowledged(recording: Recording) -> None:
    reader = ScriptedReader(messages(1, 40), messages(41, 60), last_seq=60)
    made = recorder(recording, reader, 60)
    await made.run()
    assert reader.acknowledged == [60]
    assert stored_on(recording.tapes[0]) == messages(1, 60)
    assert (made.recorded.events, made.recorded.first_seq, made.recorded.last_seq) == (60, 1, 60)
    assert (made.recorded.behind, made.unsafe, made.exit_code) == (0, 0, ExitCode.OK)


async def test_it_ends_at_the_sequence_that_was_the_last_one(recording: Recording) -> None:
    await recorder(recording, ScriptedReader(messages(1, 50)), 33).run()
    assert stored_on(recording.tapes[0]) == messages(1, 33)
    recording.close()
    assert sidecar_of(recording.tapes[0])["read_to_seq"] == 33


async def test_the_end_is_reached_where_nothing_wanted_is_there(recording: Recording) -> None:
    await recorder(recording, ScriptedReader(last_seq=33), 33).run()
    assert recording.tapes == []
    assert recording.next_seq == 34


async def test_holes_are_noted_where_they_are_told_and_end_with_exit_3(
    recording: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    reader = ScriptedReader((1, 5), messages(6, 20), (21, 30), messages(31, 40), last_seq=40)
    made = recorder(recording, reader, 40)
    await made.run()
    assert [message.seq for message in stored_on(recording.tapes[0])] == [*range(6, 21), *range(31, 41)]
    assert [(gap.first_seq, gap.last_seq) for gap in recording.gaps] == [(1, 5), (21, 30)]
    assert "sequences 21 to 30 are missing: they were no longer in the stream" in capsys.readouterr().err
    assert made.exit_code == ExitCode.INCOMPLETE


async def test_a_stream_that_is_gone_ends_it_with_all_that_came_on_tape(recording: Recording) -> None:
    reader = ScriptedReader(messages(1, 9), StreamGoneError("stream MARKET_DATA was deleted"))
    with pytest.raises(StreamGoneError):
        await recorder(recording, reader).run()
    assert stored_on(recording.tapes[0]) == messages(1, 9)
    assert reader.acknowledged == [9]


async def test_what_a_full_disk_did_not_take_is_neither_acknowledged_nor_passed_over(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    recording.write(messages(1, 9), 9)
    monkeypatch.setattr("spyctl.replay.tapes.writer.os.fsync", full)
    reader = ScriptedReader(messages(10, 20), last_seq=20)
    with pytest.raises(FullDiskError):
        await recorder(recording, reader, 20).run()
    monkeypatch.undo()
    recording.close()
    assert reader.acknowledged == []
    assert sidecar_of(recording.tapes[0])["read_to_seq"] == 9
    assert stored_on(recording.tapes[0]) == messages(1, 9)


async def test_a_server_that_is_away_is_told_once(recording: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    made = recorder(recording, ScriptedReader())
    connection: Any = made._connection
    for connected in (True, False, False, True):
        connection.connected = connected
        made._tell_absence()
    assert capsys.readouterr().err.splitlines() == [
        "! nats://scripted:4222 is away: recording continues when it is back",
        "nats://scripted:4222 is back",
    ]


@pytest.mark.parametrize(
    ("reason", "code"),
    [(StopReason.CTRL_C, 130), (StopReason.SIGTERM, 143), (StopReason.DURATION, 0), (None, 0)],
)
def test_the_exit_code_is_that_of_the_end(recording: Recording, reason: StopReason | None, code: int) -> None:
    made = recorder(recording, ScriptedReader())
    if reason is not None:
        made.stop(reason)
        made.stop(StopReason.ERROR)
    assert made.exit_code == code


def test_a_consumer_belongs_to_a_folder_and_its_subjects(tmp_path: Path) -> None:
    def name(folder: Path, subjects: Sequence[str] = SUBJECTS) -> str:
        return _consumer_name(
            RecordRequest(Target(), "", tuple(subjects), folder, None, until_end=False, as_json=False)
        )

    assert name(tmp_path) == name(tmp_path / "x" / "..")
    assert len({name(tmp_path), name(tmp_path / "x"), name(tmp_path, SUBJECTS[:2])}) == 3


def test_all_subjects_are_those_of_the_stream_whatever_this_version_knows() -> None:
    def recorded(*subjects: str) -> tuple[str, ...]:
        return _recorded_subjects(
            RecordRequest(Target(), "DRILL", subjects, Path("x"), None, until_end=False, as_json=False)
        )

    assert recorded(*(f"DRILL.{subject}" for subject in SUBJECTS)) == ("DRILL.market.*", "DRILL.market.*.*")
    assert recorded("DRILL.market.gaps") == ("DRILL.market.gaps",)
