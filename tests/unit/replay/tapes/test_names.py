"""Names of tapes."""

from datetime import date
from pathlib import Path

import pytest

from spyctl.replay.tapes.names import TapeName, is_tape_name

DAY = date(2025, 12, 16)


@pytest.mark.parametrize(
    ("name", "text", "prefix"),
    [
        (TapeName("MARKET_DATA", DAY, 1), "MARKET_DATA-2025-12-16.jsonl.zst", ""),
        (TapeName("DRY-RUN_MARKET_DATA", DAY, 12), "DRY-RUN_MARKET_DATA-2025-12-16.12.jsonl.zst", "DRY-RUN"),
    ],
)
def test_a_name_says_stream_day_and_part(name: TapeName, text: str, prefix: str) -> None:
    assert (name.text, name.prefix) == (text, prefix)
    assert TapeName.of(Path("x") / text) == name
    assert is_tape_name(text)


@pytest.mark.parametrize("text", ["MARKET_DATA-2025-13-40.jsonl.zst", "notes.jsonl", "MARKET_DATA-2025-12-16.json"])
def test_other_names_are_none_of_ours(text: str) -> None:
    assert TapeName.of(Path(text)) is None


def test_files_of_others_may_be_tapes_too() -> None:
    assert is_tape_name("tail.jsonl")
    assert not is_tape_name("MARKET_DATA-2025-12-16.json")
    assert not is_tape_name("glbx.dbn.zst")
