"""Whatever feeds, servers, settings and our own files on disk say, it is understood, or refused as what it is."""

import os
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import orjson
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from spyctl.bus.answers import is_info, read_answer
from spyctl.cli.app import app
from spyctl.cli.framework.settings import load
from spyctl.dbn.zstd import ZstdReader
from spyctl.errors import DamagedFileError, UsageError
from spyctl.live import pending
from spyctl.live.pending import Pending
from spyctl.market.events import EventSource
from spyctl.massive.normalize import parse_frame
from tests.fuzz.test_files import PACKED, edited
from tests.unit.massive.test_normalize import OPTION, QUOTE, RECV, TRADE

FEW, MANY = settings(max_examples=100), settings(max_examples=1_000_000)
EDITS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 20), st.binary(max_size=8)), min_size=1, max_size=4)
FRAMES = [
    orjson.dumps([TRADE, QUOTE]),
    orjson.dumps([OPTION]),
    b'[{"ev":"status","status":"auth_success","message":"x"}]',
]
ANSWERS = [
    ("STREAM.INFO.S", {"config": {"name": "S"}, "state": {"messages": 1, "bytes": 1, "first_seq": 1, "last_seq": 1}}),
    ("STREAM.MSG.GET.S", {"message": {"seq": 1, "subject": "a", "time": "2025-12-16T14:30:00Z", "data": "e30="}}),
    ("CONSUMER.CREATE.S", {"error": {"code": 500, "err_code": 10012, "description": "no"}}),
]
SPOOLED = b"".join(
    pending.written([Pending(b'{"price":1.5}', f"id{n}", "market.stocks.trades", "stocks", n)]) for n in range(3)
)
SETTINGS = b"""data-dir = "~/es"
speed = 10

[replay]
speed = "max"
count = 5
symbol = ["ES.c.0"]
"""
ENDLESS = {
    "nest": b"a = " + b"[" * 16_000, "number": b"a = " + b"9" * 16_000, "keys": b"a." * 50_000 + b"b = 1",
    "bytes": b"\xff", "table": b"[replay]\nspeed = {}",
}  # fmt: skip


def check_frame(frame: bytes, edits: list[tuple[int, int, bytes]], market: str) -> None:
    parsed = parse_frame(edited(frame, edits), market, RECV, EventSource.POLYGON_WS)
    for event, _ in parsed.events:
        orjson.dumps(event)


def check_answer(question: tuple[str, dict[str, Any]], edits: list[tuple[int, int, bytes]]) -> None:
    subject, document = question
    data = edited(orjson.dumps(document), edits)
    with suppress(ValueError):
        assert isinstance(read_answer(subject, data), dict)
    with suppress(ValueError):
        is_info(orjson.loads(data))


def check_spooled(edits: list[tuple[int, int, bytes]]) -> None:
    with suppress(ValueError, TypeError):
        for event in pending.read(edited(SPOOLED, edits)):
            assert isinstance(event.subject + event.identity + event.feed, str)
            assert event.received_ns < 1 << 64


def check_packed(edits: list[tuple[int, int, bytes]]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.zst"
        path.write_bytes(edited(PACKED, edits))
        with path.open("rb") as packed, suppress(DamagedFileError):
            stream, size = ZstdReader(packed, str(path)), 0
            while data := stream.read(1 << 16):
                size += len(data)
                if size > 1 << 24:  # a larger one is read as it comes
                    break


def check_settings(text: bytes) -> None:
    with TemporaryDirectory() as folder, patch.dict(os.environ, {"XDG_CONFIG_HOME": folder}):
        path = Path(folder) / "spyctl" / "config.toml"
        path.parent.mkdir()
        path.write_bytes(text)
        with suppress(UsageError):
            assert load(typer.main.get_command(app)).files == [path]


@FEW
@given(st.sampled_from(FRAMES), EDITS, st.sampled_from(["stocks", "options"]))
def test_a_frame_with_other_bytes_in_it_costs_itself_alone(
    frame: bytes, edits: list[tuple[int, int, bytes]], market: str
) -> None:
    check_frame(frame, edits, market)


@FEW
@given(st.sampled_from(ANSWERS), EDITS)
def test_an_answer_with_other_bytes_in_it_is_read_or_refused(
    question: tuple[str, dict[str, Any]], edits: list[tuple[int, int, bytes]]
) -> None:
    check_answer(question, edits)


@FEW
@given(EDITS)
def test_events_on_disk_with_other_bytes_in_them_are_read_or_refused(edits: list[tuple[int, int, bytes]]) -> None:
    check_spooled(edits)


@FEW
@given(EDITS)
def test_an_archive_with_other_bytes_in_it_is_read_or_named_as_damaged(edits: list[tuple[int, int, bytes]]) -> None:
    check_packed(edits)


@settings(max_examples=20)
@given(EDITS)
def test_settings_with_other_bytes_in_them_are_read_or_refused(edits: list[tuple[int, int, bytes]]) -> None:
    check_settings(edited(SETTINGS, edits))


@pytest.mark.parametrize("text", ENDLESS.values(), ids=ENDLESS)
def test_settings_without_end_are_refused(text: bytes) -> None:
    check_settings(text)


# --- as many as an hour allows


@pytest.mark.soak
@pytest.mark.timeout(0)
@MANY
@given(st.sampled_from(FRAMES), EDITS, st.sampled_from(["stocks", "options"]))
def test_a_million_frames(frame: bytes, edits: list[tuple[int, int, bytes]], market: str) -> None:
    check_frame(frame, edits, market)


@pytest.mark.soak
@pytest.mark.timeout(0)
@MANY
@given(st.sampled_from(ANSWERS), EDITS)
def test_a_million_answers(question: tuple[str, dict[str, Any]], edits: list[tuple[int, int, bytes]]) -> None:
    check_answer(question, edits)


@pytest.mark.soak
@pytest.mark.timeout(0)
@MANY
@given(EDITS)
def test_a_million_spools(edits: list[tuple[int, int, bytes]]) -> None:
    check_spooled(edits)


@pytest.mark.soak
@pytest.mark.timeout(0)
@MANY
@given(EDITS)
def test_a_million_archives(edits: list[tuple[int, int, bytes]]) -> None:
    check_packed(edits)
