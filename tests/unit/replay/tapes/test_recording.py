"""Recording a stream: whole after any end, nothing twice, a tape a day."""

from pathlib import Path

import pytest

from spyctl.dbn.zstd import walk_frames
from spyctl.errors import DamagedFileError, UsageError
from spyctl.market.sessions import trading_day_end
from spyctl.replay.tapes.contents import Missing, sidecar_path
from spyctl.replay.tapes.names import TapeName
from tests.support.clock import SECOND, FakeClock
from tests.support.tapes import STORED_NS, Open, message, messages, record, sidecar_of, stored_on


def test_a_tape_is_named_by_stream_and_trading_day(tmp_path: Path) -> None:
    path = record(tmp_path, messages(1, 120))
    assert path == tmp_path / "MARKET_DATA-2025-12-16.jsonl.zst"
    document = sidecar_of(path)
    assert (document["events"], document["read_to_seq"], document["complete"]) == (120, 120, True)
    assert document["size"] == path.stat().st_size
    assert len(walk_frames(path).whole) == 3


def test_a_killed_process_loses_nothing_and_writes_nothing_twice(opened: Open, tmp_path: Path) -> None:
    every = messages(1, 500)
    at, kills = 0, [0.0, 0.001, 0.5, 0.01, 0.999]
    while True:
        recording = opened()
        assert recording.next_seq == (at + 1 if at else None)
        if not kills:
            break
        recording.write(every[max(0, at - 30) : at + 70], at + 70)  # some come again
        at += 70
        path = recording.tapes[0]
        recording.abandon()
        data, last = path.read_bytes(), walk_frames(path).whole[-1]
        torn = data[last.start : last.start + int(kills.pop() * (last.end - last.start))]
        path.write_bytes(data + torn)  # so much of the next frame was written
    recording.close()
    assert stored_on(path) == every[:350]
    assert sidecar_of(path)["digest"] == sidecar_of(record(tmp_path / "at once", every[:350]))["digest"]
    assert sidecar_of(path)["by_subject"] == sidecar_of(tmp_path / "at once" / path.name)["by_subject"]


def test_a_torn_end_is_told_and_recorded_again(opened: Open, tmp_path: Path) -> None:
    path = record(tmp_path, messages(1, 100))
    path.write_bytes(path.read_bytes()[:-7])
    recording = opened()
    assert "bytes were not written to their end: cut off" in recording.notes[0]
    assert recording.next_seq == 51  # though the .json, written after a fsync, says 100
    recording.write(messages(40, 100), 100)
    recording.close()
    assert stored_on(path) == messages(1, 100)


def test_a_day_ends_at_18_00_new_york_by_stored_time(opened: Open, tmp_path: Path) -> None:
    end_ns = trading_day_end(TapeName.of(Path("MARKET_DATA-2025-12-16.jsonl.zst")).day)  # type: ignore[union-attr]
    times = [STORED_NS, end_ns - 1, end_ns, end_ns + 1, end_ns - 5, end_ns + 3 * 86_400 * SECOND]
    every = [message(number, stored_ns=ns) for number, ns in enumerate(times, 1)]
    recording = opened()
    recording.write(every, 6)
    recording.close()
    names = ["MARKET_DATA-2025-12-16", "MARKET_DATA-2025-12-17", "MARKET_DATA-2025-12-22"]
    assert recording.tapes == [tmp_path / f"{name}.jsonl.zst" for name in names]
    assert [[one.seq for one in stored_on(path)] for path in recording.tapes] == [[1, 2], [3, 4, 5], [6]]
    assert [sidecar_of(path)["complete"] for path in recording.tapes] == [True] * 3
    assert opened().next_seq == 7


def test_the_sidecar_is_renewed_while_nothing_comes(opened: Open) -> None:
    clock = FakeClock()
    recording = opened(clock=clock)
    recording.write(messages(1, 5), 5)
    recording.read_to(90)
    assert sidecar_of(recording.tapes[0])["read_to_seq"] == 0
    clock.advance(10 * SECOND)
    recording.read_to(95)
    assert sidecar_of(recording.tapes[0])["read_to_seq"] == 95
    recording.abandon()
    assert opened().next_seq == 96


def test_what_is_missing_is_in_the_sidecar(opened: Open) -> None:
    recording = opened()
    recording.note_missing(Missing(1, 9, "fallen out"))
    recording.write(messages(10, 20), 20)
    recording.note_missing(Missing(21, 25, "fallen out"))
    recording.write(messages(20, 30), 30)
    recording.close()
    path = recording.tapes[0]
    assert [(gap["first_seq"], gap["last_seq"]) for gap in sidecar_of(path)["gaps"]] == [(1, 9), (21, 25)]
    assert [one.seq for one in stored_on(path)] == [*range(10, 21), *range(26, 31)]


def test_what_is_no_event_is_on_the_tape_and_counted_as_such(opened: Open) -> None:
    every = [message(1), message(2, payload=b"nonsense"), message(3), message(4, payload=b"\x00")]
    recording = opened()
    recording.write(every, 4)
    recording.abandon()
    recording = opened()
    assert recording.next_seq == 5
    recording.close()
    document = sidecar_of(recording.tapes[0])
    assert (document["events"], document["undecoded"], document["last_seq"]) == (2, 2, 3)


def test_a_stream_made_anew_gets_a_tape_of_its_own(opened: Open, tmp_path: Path) -> None:
    record(tmp_path, messages(1, 10))
    recording = opened(born="2025-12-16T16:00:00Z")
    assert recording.next_seq is None
    assert "was made anew since MARKET_DATA-2025-12-16.jsonl.zst" in recording.notes[0]
    recording.write([message(1, stored_ns=STORED_NS + SECOND)], 1)
    recording.close()
    assert [path.name for path in recording.tapes] == ["MARKET_DATA-2025-12-16.2.jsonl.zst"]
    again = opened(born="2025-12-16T16:00:00Z")
    assert again.next_seq == 2
    again.close()


def test_two_processes_do_not_write_one_tape(opened: Open) -> None:
    first = opened()
    with pytest.raises(UsageError, match="another process records MARKET_DATA into"):
        opened()
    opened(stream="DRILL_MARKET_DATA").close()
    first.close()
    opened().close()


def test_other_subjects_need_another_folder(opened: Open, tmp_path: Path) -> None:
    record(tmp_path, messages(1, 10))
    with pytest.raises(UsageError, match=r"is a tape of market\.\*, market\.\*\.\*"):
        opened(subjects=("market.gaps",))


def test_a_tape_without_its_sidecar_is_not_written_to(opened: Open, tmp_path: Path) -> None:
    sidecar_path(record(tmp_path, messages(1, 10))).unlink()
    with pytest.raises(DamagedFileError, match=r"has no \.json beside it"):
        opened()
