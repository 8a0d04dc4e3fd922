"""Several tapes as one input."""

import io
from pathlib import Path

import pytest

from spyctl.market.lines import StreamMessage, json_lines
from spyctl.market.subjects import SUBJECTS
from spyctl.replay.tapes import reader as module
from spyctl.replay.tapes.catalog import grouped, scan_tapes
from spyctl.replay.tapes.playlist import BEGINNING, Playlist
from spyctl.replay.tapes.reader import Findings
from spyctl.timing.instants import DAY
from tests.support.tapes import STORED_NS, message, messages, record


def played(playlist: Playlist) -> list[StreamMessage]:
    return [one for lines in playlist.lines() for one in lines.messages(SUBJECTS)]


def of(root: Path) -> Playlist:
    return Playlist(grouped(scan_tapes(root)))


def test_tapes_follow_one_another(tmp_path: Path) -> None:
    later = [message(number, stored_ns=STORED_NS + DAY + number) for number in range(61, 90)]
    record(tmp_path, [*messages(1, 60), *later])
    playlist = of(tmp_path)
    assert [len(group) for group in playlist.groups] == [1, 1]
    assert played(playlist) == [*messages(1, 60), *later]
    assert played(playlist) == [*messages(1, 60), *later]


def test_what_two_tapes_hold_comes_once_and_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE", 5_000)
    every = messages(1, 300)
    record(tmp_path / "a", every[:200])
    record(tmp_path / "b", [one for one in every[100:] if one.seq % 3])
    record(tmp_path / "c", [one for one in every[150:250] if one.seq % 3 == 0])
    playlist = of(tmp_path)
    assert [len(group) for group in playlist.groups] == [3]
    wanted = [one for one in every if one.seq <= 200 or one.seq % 3 or one.seq <= 250]
    assert played(playlist) == wanted


def test_tapes_of_different_subjects_are_interleaved(tmp_path: Path) -> None:
    every = messages(1, 120)
    record(tmp_path / "futures", [one for one in every if "futures" in one.subject])
    record(tmp_path / "others", [one for one in every if "futures" not in one.subject])
    assert played(of(tmp_path)) == every


def test_each_reading_has_its_own_findings(tmp_path: Path) -> None:
    path = record(tmp_path, messages(1, 100))
    path.write_bytes(path.read_bytes()[:-1])
    playlist = of(tmp_path)
    for _ in range(2):
        findings = Findings()
        assert sum(map(len, playlist.lines(findings=findings))) == 50
        assert len(findings.damage) == 1


def test_a_pipe_is_an_input_too() -> None:
    playlist = Playlist([[io.BytesIO(json_lines(messages(1, 30)))]], name="-")
    assert playlist.start_before(STORED_NS, [[0]], 0) == BEGINNING
    assert played(playlist) == messages(1, 30)
