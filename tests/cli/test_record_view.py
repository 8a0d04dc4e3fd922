"""What a recording says of itself."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from spyctl.cli.record_view import Recorded, RecordView, print_record_summary
from spyctl.market.digest import ALGORITHM
from spyctl.replay.tapes.contents import Missing
from spyctl.replay.tapes.recording import Recording
from spyctl.summary import StopReason
from spyctl.timing.notes import Note
from tests.support.clock import WALL_NS
from tests.support.tapes import ORIGIN, messages


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recording]:
    recording = Recording(tmp_path, ORIGIN)
    yield recording
    recording.abandon()


def recorded(recording: Recording) -> Recorded:
    recording.write(messages(1, 600), 600)
    made = Recorded(behind=7)
    made.add(messages(1, 600))
    return made


def test_a_line_says_events_rate_lag_and_size(recording: Recording) -> None:
    assert RecordView(recording, Recorded()).line() == "0 events  0/s  0 behind"
    line = RecordView(recording, recorded(recording)).line()
    assert line.startswith("600 events  600/s  7 behind  MARKET_DATA-2025-12-16.jsonl.zst ")
    assert line.endswith("kB  seq 600")


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 12), (20, 4)])
def test_the_picture_fits_the_screen(recording: Recording, width: int, height: int) -> None:
    view = RecordView(recording, recorded(recording))
    text = view.draw(width, height, [Note(WALL_NS, "something to read", "warning")]).plain
    lines = text.splitlines()
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    if width == 80:
        assert "recording MARKET_DATA" in text
        assert "futures.mbp10" in text
        assert "something to read" in text
        assert "tape MARKET_DATA-2025-12-16.jsonl.zst" in text


def test_a_picture_before_the_first_event(recording: Recording) -> None:
    assert "events 0" in RecordView(recording, Recorded()).draw(80, 24).plain


def test_the_summary_names_tapes_and_what_is_missing(recording: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    made = recorded(recording)
    recording.note_missing(Missing(601, 700, "gone"))
    print_record_summary(recording, made, StopReason.DURATION, as_json=False)
    out = capsys.readouterr().out
    assert "recorded 600 events, seq 1 to 600" in out
    assert ", by --for" in out
    assert "MARKET_DATA-2025-12-16.jsonl.zst  600 events" in out
    assert "missing  sequences 601 to 700 are missing: gone" in out


def test_the_summary_as_json(recording: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    print_record_summary(recording, recorded(recording), None, as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert (document["events"], document["first_seq"], document["last_seq"], document["gaps"]) == (600, 1, 600, [])
    assert document["by_subject"]["market.gaps"] == 100
    assert document["tapes"][0]["events"] == 600
    assert (len(document["tapes"][0]["digest"]), document["tapes"][0]["digest_algorithm"]) == (32, ALGORITHM)
