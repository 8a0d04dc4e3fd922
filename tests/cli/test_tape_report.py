"""``spyctl discover --report`` of tapes: a day's quality by subject, as a table and as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from spyctl.market.events import EventSource, Gap
from spyctl.market.lines import StreamMessage
from spyctl.market.subjects import encode, subject_of
from spyctl.replay.tapes.contents import Missing
from spyctl.replay.tapes.recording import Recording
from spyctl.timing.instants import DAY, SECOND
from tests.support.clock import FakeClock
from tests.support.events import quote
from tests.support.folders import write_one_day
from tests.support.here import Here
from tests.support.tapes import ORIGIN, STORED_NS, message, messages, record


def stored(events: Sequence[Any], first_seq: int = 1) -> list[StreamMessage]:
    """Events as a stream holds them, each stored a millisecond after the one before."""
    return [
        StreamMessage(seq, subject_of(event), STORED_NS + seq * 1_000_000, encode(event), 0)
        for seq, event in enumerate(events, first_seq)
    ]


@pytest.fixture
def tapes(tmp_path: Path) -> Path:
    """Two trading days, of which the second has faults."""
    folder = tmp_path / "tapes"
    at = STORED_NS + DAY
    events: list[Any] = [quote(ts_event_ns=at + n * SECOND, ts_recv_ns=at + n * SECOND + 1) for n in (0, 1, 3, 2)]
    events.append(quote(ts_event_ns=at + 3 * SECOND, ts_recv_ns=at + 9 * SECOND))
    events.append(quote(ts_event_ns=at + 200 * SECOND, ts_recv_ns=at + 200 * SECOND))
    events.append(Gap(at, at + 1, EventSource.SIM, "stocks", at, at + SECOND, "cut", "g1", 7))
    faulty = [one._replace(stored_ns=one.stored_ns + DAY) for one in stored(events, 61)]
    faulty.append(faulty[0]._replace(seq=68, stored_ns=at + SECOND, payload=b"odd"))
    record(folder, [*messages(1, 60), *faulty])
    return folder


def test_a_report_of_a_trading_day_by_subject(here: Here, tapes: Path) -> None:
    result = here("discover", "--data-dir", "tapes", "--report", "2025-12-17")
    assert result.returncode == 0, result.stderr
    head, subjects, *lines = result.stdout.splitlines()
    assert head.startswith(" Wed 2025-12-17, MARKET_DATA, ./tapes/MARKET_DATA-2025-12-17.jsonl.zst, ")
    assert subjects.split() == ["stocks.quotes"]
    rows = {line[:28].strip(): line[28:].strip() for line in lines}
    assert rows["events"] == "6"
    assert rows["ts_event inversions"] == "1"
    assert rows["later than the 1 s window"] == "2"
    assert rows["quiet for a minute or more"] == "1"
    text = "\n".join(lines)
    assert " gap      stocks         15:14:07 → 15:14:08 UTC, 1.0 s, cut, 7 events missing" in text
    assert " quiet    stocks.quotes  15:14:16 → 15:17:27 UTC, 3 m 11 s" in text
    assert " ! stocks.quotes: 1 quiet spell of a minute or more" in text
    assert " ! 1 line that is no event" in text
    assert "✓" not in text


def test_a_report_as_json(here: Here, tapes: Path) -> None:
    document = json.loads(here("discover", "--data-dir", "tapes", "--report", "last", "--json").stdout)
    assert (document["date"], document["schemas"]) == ("2025-12-17", {})
    (tape,) = document["tapes"]
    assert (tape["no_events"], tape["duplicates"], tape["gap_records"], tape["resets"]) == (1, 0, 1, 0)
    quotes = tape["by_subject"]["market.stocks.quotes"]
    assert (quotes["events"], quotes["late"], quotes["inversions"], quotes["quiets"]) == (6, 2, 1, 1)
    assert quotes["first_utc"] == "2025-12-17T15:14:07.388000000Z"
    assert not quotes["quiet"][0]["closed"]
    assert tape["gaps"][0]["events"] == 7
    assert tape["missing"] == []
    assert document["doubts"]


def test_a_good_day_has_nothing_to_look_at(here: Here, tapes: Path) -> None:
    record(tapes.parent / "good", stored([quote(ts_event_ns=STORED_NS, ts_recv_ns=STORED_NS + 1)]))
    result = here("discover", "--data-dir", "good", "--report", "2025-12-16")
    assert (result.returncode, result.stdout.splitlines()[-1]) == (0, " ✓ nothing to look at")


def test_damage_is_exit_3_and_the_rest_is_told(here: Here, tapes: Path) -> None:
    path = next(tapes.glob("*16.jsonl.zst"))
    path.write_bytes(path.read_bytes()[:-9])
    result = here("discover", "--data-dir", "tapes", "--report", "2025-12-16")
    assert result.returncode == 3
    assert "cut short at byte" in result.stderr
    assert "futures.mbp10" in result.stdout


def test_files_and_tapes_of_a_day_are_both_reported(here: Here, tapes: Path) -> None:
    write_one_day(tapes)
    result = here("discover", "--data-dir", "tapes", "--report", "2025-12-16", "--picture", "day.svg")
    assert result.returncode == 0, result.stderr
    assert "mbp-10" in result.stdout
    assert "MARKET_DATA-2025-12-16.jsonl.zst" in result.stdout
    document = json.loads(here("discover", "--data-dir", "tapes", "--report", "2025-12-16", "--json").stdout)
    assert "mbp-10" in document["schemas"]
    assert len(document["tapes"]) == 1
    tape_alone = json.loads(here("discover", "--data-dir", "tapes", "--report", "last", "--json").stdout)
    assert (tape_alone["date"], tape_alone["schemas"], len(tape_alone["tapes"])) == ("2025-12-17", {}, 1)


def test_a_schema_chooses_subjects(here: Here, tapes: Path) -> None:
    result = here("discover", "--data-dir", "tapes", "--report", "2025-12-16", "--schema", "trades", "--symbol", "ES")
    assert result.stdout.splitlines()[1].split() == ["futures.trades"]
    assert "note: --symbol and --dataset choose among DBN files; of a tape everything is reported" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--report", "2025-12-18"), 6, "no data for 2025-12-18 in ./tapes, which holds 2025-12-16, 2025-12-17"),
        (("--report", "all"), 2, "--report all means 2 dates; a report is of one"),
        (("--report", "last", "--picture", "day.svg"), 2, "--picture draws DBN files, and ./tapes has none of"),
    ],
)
def test_what_cannot_be_reported_is_refused(
    here: Here, tapes: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    result = here("discover", "--data-dir", "tapes", *arguments)
    assert (result.returncode, result.stdout) == (code, "")
    assert said in result.stderr


def test_tapes_that_hold_the_same_say_so(here: Here, tapes: Path) -> None:
    record(tapes / "more", [message(n) for n in range(40, 61)])
    result = here("discover", "--data-dir", "tapes", "--report", "2025-12-16")
    assert result.stdout.count(" Tue 2025-12-16, MARKET_DATA, ") == 2
    assert "what both hold is played once" in result.stdout


def test_a_file_of_the_day_that_cannot_be_read_is_told_beside_the_tapes(here: Here, tapes: Path) -> None:
    (tapes / "glbx-mdp3-20251216.trades.dbn").write_bytes(b"DBN\x01odd")
    result = here("discover", "--data-dir", "tapes", "--report", "2025-12-16")
    assert result.returncode == 3
    assert "glbx-mdp3-20251216.trades.dbn: " in result.stdout
    assert "futures.mbp10" in result.stdout
    assert here("discover", "--data-dir", "tapes", "--report", "2025-12-17").returncode == 0


def test_what_the_recording_did_not_get_is_told(here: Here, tmp_path: Path) -> None:
    recording = Recording(tmp_path / "tapes", ORIGIN, clock=FakeClock())
    recording.write(messages(1, 6), 6)
    recording.note_missing(Missing(7, 9, "they had left the stream"))
    recording.write(messages(10, 12), 12)
    recording.close()
    result = here("discover", "--data-dir", "tapes", "--report", "last")
    assert result.returncode == 0
    assert " missing  sequences 7 to 9 are missing: they had left the stream" in result.stdout
    assert " ! 3 sequences of the stream missing" in result.stdout
