"""Reading tapes: every form of them, and whatever is wrong in one."""

import io
from pathlib import Path
from typing import Any

import pytest
import zstandard

from spyctl.dbn.zstd import walk_frames
from spyctl.market.lines import StreamMessage, json_lines
from spyctl.replay.tapes import reader as module
from spyctl.replay.tapes.reader import TapeReader
from tests.support.tapes import message, messages, record

STORED = messages(1, 400)


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    """400 messages in eight frames."""
    return record(tmp_path, STORED)


def read(source: Any, **names: str) -> tuple[list[StreamMessage], TapeReader]:
    reader = TapeReader(source, **names)
    return [message for lines in reader.lines() for message in lines.messages(reader.subjects)], reader


def test_a_tape_gives_what_was_recorded(tape: Path) -> None:
    found, reader = read(tape)
    assert found == STORED
    assert (reader.findings.lines, reader.last_seq, reader.prefix) == (400, 400, "")
    assert not reader.findings.damage
    assert not reader.findings.rejected


def test_plain_text_pipes_and_packed_pipes_are_read_too(tape: Path, tmp_path: Path) -> None:
    text = json_lines(STORED)
    plain = tmp_path / "tail.jsonl"
    plain.write_bytes(text[:-1])  # the last newline may be missing
    assert read(plain)[0] == STORED
    assert read(io.BytesIO(text), name="-")[0] == STORED
    assert read(io.BytesIO(tape.read_bytes()), name="-")[0] == STORED
    assert read(io.BytesIO(b""), name="-")[0] == []


def test_lines_may_go_over_the_ends_of_pieces_and_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, pack = json_lines(STORED), zstandard.ZstdCompressor().compress
    packed = tmp_path / "packed.jsonl.zst"
    packed.write_bytes(b"".join(pack(text[i : i + 10_007]) for i in range(0, len(text), 10_007)))
    monkeypatch.setattr(module, "PIECE", 1_009)
    assert read(packed)[0] == STORED
    (tmp_path / "plain.jsonl").write_bytes(text)
    assert read(tmp_path / "plain.jsonl")[0] == STORED


def test_the_prefix_is_that_of_the_lines(tmp_path: Path) -> None:
    stored = messages(1, 10, prefix="DRILL")
    (tmp_path / "x.jsonl").write_bytes(json_lines([*stored, message(11)]))
    found, reader = read(tmp_path / "x.jsonl")
    assert (found, reader.prefix) == (stored, "DRILL")
    assert reader.findings.places == [f"{tmp_path}/x.jsonl: line 11: subject 'market.gaps' is not one of this tape"]


def test_a_cut_tape_gives_its_whole_frames(tape: Path) -> None:
    frames = walk_frames(tape).whole
    tape.write_bytes(tape.read_bytes()[:-5])
    found, reader = read(tape)
    assert found == STORED[:350]
    assert [damage.message for damage in reader.findings.damage] == [f"{tape}: cut short at byte {frames[-1].start:,}"]
    assert "record that time again" in reader.findings.damage[0].remedy


def test_any_flipped_byte_costs_one_frame_and_is_named(tape: Path) -> None:
    whole = tape.read_bytes()
    third, fourth = walk_frames(tape).whole[2:4]
    for at in (*range(third.start, third.start + 24), *range(third.start + 24, third.end, 97), third.end - 1):
        tape.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        found, reader = read(tape)
        assert found in (STORED[:100] + STORED[150:], STORED), at  # a bit of the header may mean nothing
        if found != STORED:
            damage = reader.findings.damage
            assert [error.message for error in damage] == [f"{tape}: corrupt zstd data at byte {third.start:,}"], at
    assert fourth.start == third.end


def test_what_came_before_is_left_out_and_named(tmp_path: Path) -> None:
    path = tmp_path / "joined.jsonl"
    path.write_bytes(json_lines(STORED[:20]) + json_lines(STORED[15:30]))
    found, reader = read(path)
    assert found == STORED[:30]
    assert reader.findings.rejected == {"sequence_goes_back": 5}
    assert reader.findings.places[0] == f"{path}: line 21: sequence 16 comes after 20: left out"


def test_a_stream_that_was_made_anew_counts_from_one_again(tmp_path: Path) -> None:
    path = tmp_path / "two.jsonl"
    anew = [message(number, stored_ns=STORED[-1].stored_ns + number) for number in range(1, 5)]
    path.write_bytes(json_lines([*STORED, *anew]))
    found, reader = read(path)
    assert found == [*STORED, *anew]
    assert not reader.findings.rejected


def test_lines_that_are_no_events_are_named_by_their_number(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(json_lines(STORED[:3]) + b"nonsense\n" + json_lines(STORED[3:6]) + b'{"seq":9}\n')
    found, reader = read(path)
    assert found == STORED[:6]
    lines = [place.removeprefix(f"{path}: ").partition(":")[0] for place in reader.findings.places]
    assert lines == ["line 4", "line 8"]
    assert (reader.findings.rejected["no_event"], reader.findings.lines, reader.last_seq) == (2, 8, 9)


def test_a_line_without_an_end_takes_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_LINE", 1 << 16)
    path = tmp_path / "bomb.jsonl.zst"
    path.write_bytes(zstandard.compress(json_lines(STORED[:2])) + zstandard.compress(b"x" * (1 << 26)))
    found, reader = read(path)
    assert found == STORED[:2]
    assert [damage.reason for damage in reader.findings.damage] == ["a line that does not end"]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    found, reader = read(tmp_path / "none.jsonl")
    assert found == []
    assert "cannot be read (No such file" in reader.findings.damage[0].message


def test_many_bad_lines_do_not_fill_the_memory(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b"no\n" * 1_000)
    reader = read(tmp_path / "x.jsonl")[1]
    assert (reader.findings.rejected["no_event"], len(reader.findings.places)) == (1_000, 20)
