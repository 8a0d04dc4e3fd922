"""Milestones of a tape: reading from one gives what reading from the beginning gives, whatever is chosen."""

from pathlib import Path

import pytest

from spyctl.market.lines import json_lines
from spyctl.market.subjects import SUBJECTS
from spyctl.replay.tapes import milestones as module
from spyctl.replay.tapes.lines import UNKNOWN
from spyctl.replay.tapes.milestones import Milestone, beside, find_milestones, known_milestones, symbol_of
from spyctl.replay.tapes.reader import Place, TapeReader
from tests.support.tapes import STORED_NS, Open, message, messages, record

STORED = messages(1, 300)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVERY_BYTES", 1)


def test_record_sets_them_and_reading_begins_at_each(tmp_path: Path) -> None:
    tape = record(tmp_path, STORED)
    known = beside(tape).read()
    assert [milestone.place.lines for milestone in known] == [50, 100, 150, 200, 250, 300]
    assert known[-1].place.offset == tape.stat().st_size
    for milestone in known[:-1]:
        reader = TapeReader(tape)
        found = [one for lines in reader.lines(milestone.place) for one in lines.messages(SUBJECTS)]
        assert found == STORED[milestone.place.lines :]
        assert (milestone.place.seq, milestone.books) == (milestone.place.lines, {"ES"})
        quotes = max(n for n in range(milestone.place.lines + 1) if n % 6 == 1)
        assert milestone.event_ns[1] == STORED_NS + quotes * 1_000_000
        assert milestone.recv_ns[1] == milestone.event_ns[1] + 50_000


def test_a_recording_that_goes_on_continues_them(opened: Open) -> None:
    first = opened()
    first.write(STORED[:100], 100)
    first.abandon()
    second = opened()
    second.write(STORED[100:], 300)
    tape = second.tapes[-1]
    second.close()
    assert beside(tape).read() == list(module.set_milestones(TapeReader(tape)))


def test_of_another_tape_they_are_found_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tape = record(tmp_path, STORED)
    known = beside(tape).read()
    beside(tape).path.unlink()
    assert known_milestones(tape) == []
    assert find_milestones(tape) == known
    read: list[Place | None] = []
    lines = TapeReader.lines
    monkeypatch.setattr(TapeReader, "lines", lambda self, place=None: (read.append(place), lines(self, place))[1])
    assert known_milestones(tape) == known == find_milestones(tape)
    assert read == [known[-1].place]


def test_a_growing_tape_is_read_from_its_last_milestone(opened: Open) -> None:
    recording = opened()
    recording.write(STORED[:50], 50)
    recording.write(STORED[50:80], 80)
    tape = recording.tapes[-1]
    beside(tape).path.write_bytes(b"".join(beside(tape).path.read_bytes().splitlines(keepends=True)[:2]))
    assert [milestone.place.lines for milestone in find_milestones(tape)] == [50, 80]
    recording.close()


def test_those_of_another_tape_or_of_none_are_not_believed(tmp_path: Path) -> None:
    tape, other = record(tmp_path / "a", STORED), record(tmp_path / "b", messages(2, 300))
    beside(other).path.write_bytes(beside(tape).path.read_bytes())
    assert beside(other).read() == []
    file = beside(tape)
    file.path.write_bytes(file.path.read_bytes() + b"[[1,2],3]\nno json")
    assert len(file.read()) == 6
    tape.write_bytes(tape.read_bytes()[:-1])
    assert len(file.read()) == 5
    assert beside(tmp_path / "none.jsonl.zst").read() == []


def test_plain_lines_have_milestones_and_one_large_frame_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = tmp_path / "tail.jsonl"
    plain.write_bytes(json_lines(STORED))
    monkeypatch.setattr("spyctl.replay.tapes.reader.PIECE", 10_000)
    found = find_milestones(plain)
    assert len(found) > 5
    assert found[-1].place == Place(plain.stat().st_size, 300, 300, message(300).stored_ns)
    assert find_milestones(record(tmp_path, STORED, frame=300))[-1].place.lines == 300


def test_a_folder_that_takes_no_file_costs_time_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tape = record(tmp_path, STORED)
    beside(tape).path.unlink()
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(find_milestones(tape)) == 6
    assert known_milestones(tape) == []


def test_symbols_and_sums() -> None:
    assert symbol_of(b'{"symbol":"ESZ5-ESH6"}') == "ESZ5-ESH6"
    assert symbol_of(b"{}") == ""
    none = (0,) * len(SUBJECTS)
    one = Milestone(Place(7), (5, *none[1:]), (4, *none[1:]))
    other = Milestone(Place(1, 1, UNKNOWN), (3, 9, *none[2:]), (6, *none[1:]))
    both = one.behind(other)
    assert (both.place, both.recv_ns[:2], both.event_ns[:2]) == (Place(7), (5, 9), (6, 0))
