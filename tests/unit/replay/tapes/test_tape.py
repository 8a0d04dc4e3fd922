"""Tapes as the Python API gives them."""

from pathlib import Path

import pytest

from spyctl import Tape
from spyctl.errors import DamagedFileError, NoDataError
from spyctl.market.events import Event
from spyctl.market.lines import json_lines
from tests.support.tapes import event, message, messages, record


def test_a_tape_iterates_over_its_events(tmp_path: Path) -> None:
    tape = Tape(record(tmp_path, messages(1, 60)))
    assert list(tape) == [event(number) for number in range(1, 61)]
    assert list(tape) == list(tape)
    assert list(tape.messages()) == messages(1, 60)


def test_what_is_no_event_of_its_subject_is_left_out_and_noted(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(json_lines([message(1), message(2, payload=message(3).payload), message(4)]))
    tape = Tape(str(tmp_path / "x.jsonl"))
    assert list(tape) == [event(1), event(4)]
    assert tape.findings.rejected == {"no_event": 1}
    assert "sequence 2: options.trades.v1: keys do not fit" in tape.findings.places[0]


def test_damage_is_raised_behind_the_last_whole_event(tmp_path: Path) -> None:
    path = record(tmp_path, messages(1, 100))
    path.write_bytes(path.read_bytes()[:-1])
    found: list[Event] = []
    with pytest.raises(DamagedFileError, match="cut short"):
        found.extend(Tape(path))
    assert found == [event(number) for number in range(1, 51)]


def test_a_tape_that_is_not_there_is_no_data(tmp_path: Path) -> None:
    with pytest.raises(NoDataError, match="there is no tape"):
        Tape(tmp_path / "none.jsonl")
