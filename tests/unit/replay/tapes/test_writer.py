"""Writing one tape: on disk before it counts, whole whatever happens."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from spyctl.dbn.zstd import walk_frames
from spyctl.errors import FullDiskError
from spyctl.replay.tapes import writer as module
from spyctl.replay.tapes.tape import Tape
from spyctl.replay.tapes.writer import cut_to_whole_frames
from tests.support.tapes import Open, messages, record, sidecar_of, stored_on


def test_frames_hold_whole_lines_and_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FRAME_BYTES", 20_000)
    path = record(tmp_path, messages(1, 300), frame=300)
    frames = walk_frames(path)
    assert frames.problem is None
    assert len(frames.whole) > 3
    assert all(0 < (frame.content or 0) <= 20_000 for frame in frames.whole)
    assert stored_on(path) == messages(1, 300)


def test_it_is_on_disk_before_write_returns(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(module.os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    recording = opened()
    recording.write(messages(1, 50), 50)
    assert recording.tape is not None
    assert synced[-1] == recording.tape.path.stat().st_size == recording.tape.size > 0
    recording.close()


def test_a_whole_tape_is_not_cut(tmp_path: Path) -> None:
    path = record(tmp_path, messages(1, 100))
    assert cut_to_whole_frames(path) == 0
    (tmp_path / "empty").touch()
    assert cut_to_whole_frames(tmp_path / "empty") == 0
    (tmp_path / "zeros").write_bytes(path.read_bytes() + bytes(4_096))
    assert cut_to_whole_frames(tmp_path / "zeros") == 4_096


def test_a_disk_without_room_for_the_sidecar_is_told(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    recording = opened()
    recording.write(messages(1, 50), 50)
    monkeypatch.setattr(module, "write_whole", full)
    with pytest.raises(FullDiskError, match="it ends at sequence 50"):
        recording.close()
    monkeypatch.undo()
    assert stored_on(recording.tapes[0]) == messages(1, 50)
    again = opened()
    assert again.next_seq == 51
    again.close()


def test_a_full_disk_is_told_and_the_tape_stays_whole(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = opened()
    recording.write(messages(1, 50), 50)

    class Full:
        """A file that takes a few bytes more."""

        def __init__(self, file: Any) -> None:
            self.file, self.left = file, 100

        def write(self, data: bytes) -> int:
            if not self.left:
                raise OSError(errno.ENOSPC, "No space left on device")
            written, self.left = self.file.write(data[: self.left]), 0
            return int(written)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

    assert recording.tape is not None
    recording.tape._file = Full(recording.tape._file)  # type: ignore[assignment]
    with pytest.raises(FullDiskError, match="no space left on the disk; it ends at sequence 50") as error:
        recording.write(messages(51, 500), 500)
    assert error.value.exit_code == 3
    recording.close()
    assert len(list(Tape(recording.tapes[0]))) == 50
    assert sidecar_of(recording.tapes[0])["read_to_seq"] == 50
    assert opened().next_seq == 51
