"""Which tapes a folder holds, and what is wrong with each."""

from dataclasses import replace
from datetime import date
from hashlib import blake2b
from pathlib import Path

import orjson
import pytest

from spyctl.dbn.zstd import walk_frames
from spyctl.market.lines import json_lines
from spyctl.replay.tapes import catalog as module
from spyctl.replay.tapes.catalog import TapeInfo, check_tape, inspect_tape, overlaps, scan_tapes, survey
from spyctl.replay.tapes.contents import Missing, sidecar_path
from spyctl.timing.instants import DAY
from tests.support.tapes import ORIGIN, STORED_NS, Open, message, messages, record

TUESDAY = date(2025, 12, 16)


def inspected(path: Path) -> TapeInfo:
    info = inspect_tape(path)
    assert info is not None
    return info


def test_a_tape_is_known_by_its_sidecar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = record(tmp_path, messages(1, 60))
    monkeypatch.setattr(module, "survey", None)  # nothing is read
    info = inspected(path)
    assert (info.day, info.prefix, info.stream, info.size) == (TUESDAY, "", "MARKET_DATA", path.stat().st_size)
    assert (info.contents["events"], info.growing, info.gaps, info.problem) == (60, False, (), None)


def test_a_small_tape_whose_sidecar_is_out_of_date_is_read(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = opened()
    recording.write(messages(1, 60), 60)
    recording.abandon()
    path = recording.tapes[0]
    info = inspected(path)
    assert (info.contents["events"], info.contents["last_seq"], info.growing) == (60, 60, True)
    monkeypatch.setattr(module, "SMALL", 100)
    assert inspected(path).contents == {}
    sidecar_path(path).unlink()
    info = inspected(path)
    assert (info.contents, info.day) == ({}, TUESDAY)


def test_lines_of_tail_are_a_tape_and_other_lines_are_none(tmp_path: Path) -> None:
    (tmp_path / "tail.jsonl").write_bytes(json_lines(messages(1, 5, prefix="DRILL")))
    (tmp_path / "notes.jsonl").write_bytes(b'{"note":1}\n')
    (tmp_path / "empty.jsonl").touch()
    (info,) = scan_tapes(tmp_path)
    assert (info.path.name, info.day, info.prefix) == ("tail.jsonl", TUESDAY, "DRILL")
    assert info.stream == "DRILL_MARKET_DATA"
    assert info.contents["events"] == 5


def test_tapes_are_listed_by_stream_and_day_one_file_alone_too(tmp_path: Path) -> None:
    later = [message(number, stored_ns=STORED_NS + DAY + number) for number in range(6, 9)]
    record(tmp_path / "b", later)
    path = record(tmp_path / "a" / "b", messages(1, 5))
    record(tmp_path / "c", messages(1, 5, prefix="DRILL"), replace(ORIGIN, stream="DRILL_MARKET_DATA", prefix="DRILL"))
    names = [info.path.name for info in scan_tapes(tmp_path)]
    assert names == [f"{name}.jsonl.zst" for name in (
        "MARKET_DATA-2025-12-16", "MARKET_DATA-2025-12-17", "DRILL_MARKET_DATA-2025-12-16",
    )]  # fmt: skip
    assert [info.path for info in scan_tapes(path)] == [path]
    assert scan_tapes(tmp_path / "none") == []


def test_tapes_that_hold_the_same_messages_overlap(tmp_path: Path) -> None:
    first = record(tmp_path / "a", messages(1, 60))
    second = record(tmp_path / "b", messages(50, 90))
    third = record(tmp_path / "c", messages(91, 99))
    anew = [message(number, stored_ns=STORED_NS + 3_600 * 10**9 + number) for number in range(1, 30)]
    fourth = record(tmp_path / "d", anew, replace(ORIGIN, born="2025-12-16T15:30:00Z"))
    assert overlaps([inspected(path) for path in (first, second, third, fourth)]) == {second: first}


def test_a_check_finds_damage_other_events_and_what_is_missing(tmp_path: Path, opened: Open) -> None:
    path = record(tmp_path / "a", messages(1, 100))
    assert check_tape(inspected(path)).problems == []
    info = inspected(path)
    whole = path.read_bytes()
    at = walk_frames(path).whole[0].end - 9
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    assert "corrupt zstd data" in check_tape(inspected(path)).problems[0]
    other = record(tmp_path / "b", [message(n, payload=message(n + 6).payload) for n in range(1, 101)])
    path.write_bytes(other.read_bytes())
    assert check_tape(replace(info, size=other.stat().st_size)).problems == [
        f"{path}: its events are not those that the .json beside it counts"
    ]
    recording = opened(tmp_path / "c")
    recording.note_missing(Missing(1, 4, "gone"))
    recording.write(messages(5, 9), 9)
    recording.close()
    problems = check_tape(inspected(recording.tapes[0])).problems
    assert problems == [f"{recording.tapes[0]}: sequences 1 to 4 are missing: gone"]


def test_a_check_goes_by_the_algorithm_that_the_json_names(tmp_path: Path) -> None:
    stored = messages(1, 20)
    path = record(tmp_path, stored)
    document = orjson.loads(sidecar_path(path).read_bytes())
    lines = b"".join(each.payload + b"\n" for each in stored)
    for algorithm, digest, problem in (
        ("blake2b-128", blake2b(lines, digest_size=16).hexdigest(), None),
        ("blake2b-128", document["digest"], "its events are not those that the .json beside it counts"),
        ("crc32", "0", "its digest is by crc32, which this spyctl does not know"),
    ):
        sidecar_path(path).write_bytes(orjson.dumps(document | {"digest_algorithm": algorithm, "digest": digest}))
        assert check_tape(inspected(path)).problems == ([f"{path}: {problem}"] if problem else [])


def test_a_check_looks_at_every_value(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(json_lines([message(1), message(2, payload=message(2).payload.replace(b"2025", b'"x"'))]))
    problems = check_tape(inspected(path)).problems
    assert len(problems) == 1
    assert f"{path}: " in problems[0]


def test_a_check_counts_the_lines_that_it_does_not_name(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(json_lines(messages(1, 40)) + json_lines(messages(1, 40)) + b"no\n" * 2)
    problems, unnamed = check_tape(inspected(path))
    assert problems[0] == f"{path}: 42 lines are left out: 40 repeated sequence, 2 no event"
    assert (len(problems), unnamed) == (1 + 20, 22)


def test_a_sidecar_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    path = record(tmp_path, messages(1, 10))
    sidecar_path(path).write_text("{")
    info = inspected(path)
    assert info.problem is not None
    assert "2025-12-16.json: cannot be read" in info.problem.message
    assert check_tape(info).problems == [info.problem.message]


def test_a_survey_counts_and_decodes(tmp_path: Path) -> None:
    path = record(tmp_path, messages(1, 30))
    counted = survey(path, exact=True)
    assert (counted.contents.all.events, counted.prefix, counted.findings.places) == (30, "", [])


def test_a_large_tape_without_a_json_is_read_where_the_whole_of_it_is_to_be_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = record(tmp_path, messages(1, 60))
    listed = inspect_tape(path)
    assert listed is not None
    path.with_name(path.name.removesuffix(".jsonl.zst") + ".json").unlink()
    monkeypatch.setattr(module, "SMALL", 100)
    unread, read = inspect_tape(path), inspect_tape(path, whole=True)
    assert unread is not None
    assert read is not None
    assert unread.contents == {}
    assert (read.contents["first_event_ns"], read.day) == (listed.contents["first_event_ns"], listed.day)
