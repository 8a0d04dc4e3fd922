"""Following the stream: where it begins, and how events are written."""

from dataclasses import replace
from typing import Any

import pytest

from spyctl.bus.reader import subject_filter
from spyctl.bus.target import Target
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.tail_options import Place, PlaceKind, TailForm
from spyctl.cli.tail_run import TailRequest, _EventWriter, _Follower
from spyctl.market.lines import StreamMessage
from spyctl.terminal.event_lines import EventFilter, subjects_of
from tests.support.connection import ScriptedConnection

STATE = {"first_seq": 11, "last_seq": 20}


class CountingConnection:
    """A stream whose every second message is on the subject asked for."""

    url = "nats://test"


def request(place: Place, form: TailForm = TailForm.JSON, *, as_json: bool = False) -> TailRequest:
    wanted = EventFilter(frozenset({"market.gaps"}))
    return TailRequest(Target(), "", wanted, place, until_end=True, count=None, form=form, as_json=as_json)


async def start(place: Place, monkeypatch: pytest.MonkeyPatch) -> Any:
    async def count_after(_connection: Any, _name: str, subjects: list[str], seq: int) -> tuple[int, int]:
        assert subjects == ["market.gaps"]
        return len([stored for stored in range(seq + 1, 21) if stored % 2 == 0]), 0

    monkeypatch.setattr("spyctl.cli.tail_run.count_after", count_after)
    connection: Any = CountingConnection()
    writer: Any = None
    return await _Follower(request(place), Reporter(), connection, writer)._start("MARKET_DATA", STATE)


@pytest.mark.parametrize(
    ("place", "seq"),
    [
        (Place(PlaceKind.START), 11),
        (Place(PlaceKind.SEQUENCE, 3), 11),
        (Place(PlaceKind.SEQUENCE, 15), 15),
        (Place(PlaceKind.LAST, 1), 19),
        (Place(PlaceKind.LAST, 3), 15),
        (Place(PlaceKind.LAST, 100), 11),
        (Place(PlaceKind.LAST, 0), 21),
    ],
)
async def test_a_place_becomes_a_sequence(monkeypatch: pytest.MonkeyPatch, place: Place, seq: int) -> None:
    begun = await start(place, monkeypatch)
    assert begun["deliver_policy"] == "by_start_sequence"
    stored = [number for number in range(begun["opt_start_seq"], 21) if number % 2 == 0]
    wanted = [number for number in range(seq, 21) if number % 2 == 0]
    assert stored == wanted


async def test_a_time_keeps_its_nanoseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = await start(Place(PlaceKind.TIME, 1_765_898_047_388_000_001), monkeypatch)
    assert begun == {"deliver_policy": "by_start_time", "opt_start_time": "2025-12-16T15:14:07.388000001Z"}


async def test_new_events_need_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await start(Place(PlaceKind.NEW), monkeypatch) is None


@pytest.mark.parametrize(
    ("subjects", "version", "sent"),
    [
        ([], (2, 14), {}),
        (["gaps"], (2, 14), {"filter_subjects": ["market.gaps"]}),
        (["futures"], (2, 14), {"filter_subjects": ["market.futures.mbp10", "market.futures.trades"]}),
        (["futures"], (2, 9), {}),
    ],
)
def test_the_server_sends_only_the_subjects_that_are_asked_for(
    subjects: list[str], version: tuple[int, int], sent: dict[str, list[str]]
) -> None:
    asked = replace(request(Place(PlaceKind.START)), wanted=EventFilter(frozenset(subjects_of(subjects))))
    connection: Any = ScriptedConnection(version=version)
    assert subject_filter(connection, asked.wanted.subjects) == sent


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (TailForm.RAW, "nonsense\n"),
        (TailForm.JSON, '{"seq":7,"subject":"market.gaps","stored_ns":0,"undecoded":"nonsense"}\n'),
    ],
)
async def test_messages_are_written_in_the_form_asked_for(
    capfd: pytest.CaptureFixture[str], form: TailForm, text: str
) -> None:
    writer = _EventWriter(request(Place(PlaceKind.START), form))
    writer.write([StreamMessage(7, "market.gaps", 0, b"nonsense", 0)])
    assert capfd.readouterr().out == text


async def test_statistics_are_written_at_the_end(capfd: pytest.CaptureFixture[str]) -> None:
    for as_json, part in ((True, '"events": 1'), (False, "p50 / p99")):
        writer = _EventWriter(request(Place(PlaceKind.START), TailForm.STATS, as_json=as_json))
        writer.write([StreamMessage(7, "market.gaps", 0, b"nonsense", 0)])
        assert capfd.readouterr().out == ""
        writer.close(Reporter())
        assert part in capfd.readouterr().out
