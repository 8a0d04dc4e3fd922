"""The plan of a replay as it is asked for and shown: ranges, sessions, files, and one scan for all of it."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from spyctl.bus.store_mode import StoreMode
from spyctl.bus.target import Target
from spyctl.cli.replay_options import SessionKind
from spyctl.cli.replay_plan import InputRequest, Request, plan_request
from spyctl.dbn.catalog import Catalog, scan
from spyctl.errors import NoSessionError, UsageError
from spyctl.market.columns import SCHEMAS
from spyctl.replay.session import ReplayOptions
from spyctl.timing.instants import HOUR, SECOND, day_start, utc_text
from tests.conftest import Cli
from tests.support.folders import ES, NEW, shifted
from tests.support.records import T0, trade, write_file


def request(root: Path, **asked: object) -> Request:
    wanted = InputRequest(root, (), "--date", None, SCHEMAS, None, None, "America/New_York", None)
    target = Target(urls=(), named_by="", embedded=False, may_embed=False, port=4222, store=root, access=None)
    options = ReplayOptions()
    return Request(
        replace(wanted, **asked), options, target, "stdout", "auto", StoreMode.SAFE, None, False, False, None, False
    )


@pytest.mark.parametrize(
    "asked",
    [{}, {"start": "open", "end": "close"}, {"dates": ("last",), "start": "09:30"}, {"trading_day": "2025-12-16"}],
)
def test_the_data_folder_is_scanned_once_whatever_is_asked_for(
    data: Path, monkeypatch: pytest.MonkeyPatch, asked: dict[str, object]
) -> None:
    scans: list[Path] = []

    def counted(root: Path) -> Catalog:
        scans.append(root)
        return scan(root)

    monkeypatch.setattr("spyctl.cli.replay_plan.scan", counted)
    assert plan_request(request(data, **asked)).dates == (date(2025, 12, 16),)
    assert scans == [data]


def test_close_on_a_half_day_is_13_00_new_york(tmp_path: Path) -> None:
    day = date(2025, 11, 28)
    write_file(tmp_path, "trades", [trade(T0 + shifted(day))], day=day)
    plan = plan_request(request(tmp_path, dates=(str(day),), start="open", end="close"))
    assert utc_text(plan.selection.start_ns)[:16] == "2025-11-28T14:30"
    assert utc_text(plan.selection.end_ns)[:16] == "2025-11-28T18:00"


def test_the_open_of_a_sunday_is_refused_in_one_sentence(cli: Cli, tmp_path: Path) -> None:
    sunday = date(2025, 12, 14)
    write_file(tmp_path / "dbn-data", "trades", [trade(T0 + shifted(sunday))], day=sunday)
    with pytest.raises(NoSessionError):
        plan_request(request(tmp_path / "dbn-data", start="open"))
    result = cli("replay", "--start", "open", "--sink", "stdout")
    assert result.returncode == 2
    assert result.stderr.splitlines()[-2:] == [
        "error: 2025-12-14 is a Sunday: it has no regular session",
        "  try: a day with a session, or a time of day: --start 18:00",
    ]


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ("10:00", "09:30", "--start 10:00 (15:00 UTC) is after --end 09:30 (14:30 UTC)"),
        ("open", "09:30", "are the same instant"),
        ("18:00", "19:30", "a UTC day ends at 19:00 or 20:00 New York"),
    ],
)
def test_a_range_that_ends_before_it_begins_is_refused(data: Path, start: str, end: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan_request(request(data, start=start, end=end))
    assert message in caught.value.message


def test_a_trading_day_bounds_the_range_from_evening_to_evening(data: Path) -> None:
    plan = plan_request(request(data, trading_day="2025-12-16"))
    assert utc_text(plan.selection.start_ns)[:16] == "2025-12-15T23:00"
    assert utc_text(plan.selection.end_ns)[:16] == "2025-12-16T22:00"


def test_a_replay_says_what_it_plays_rolls_and_leaves_out(cli: Cli, week: Path) -> None:
    result = cli("replay", "--speed", "max", "--sink", "stdout", "--date", "2025-12-16..2025-12-19")
    assert result.returncode == 3
    assert "! Databento calls 2025-12-17 degraded: data may be missing" in result.stderr
    assert (
        f"note: ES rolls at 2025-12-18T00:00Z, from instrument {ES} to {NEW}; prices are not adjusted" in result.stderr
    )
    assert "cut short inside record 100" in result.stderr
    assert len(result.stdout.splitlines()) == 4 * 50 + 2 * 100 + 99
    assert "glbx-mdp3-20251216.ohlcv-1d.dbn is left out: holds ohlcv-1d" in result.stderr


def test_only_the_symbols_asked_for_are_played(cli: Cli, tmp_path: Path) -> None:
    mappings = {
        name: [(date(2025, 1, 1), date(2026, 1, 1), str(number))]
        for number, name in enumerate(["ESZ5", "ESH6", "ESZ5-ESH6"], start=100)
    }
    records = [trade(T0 + i, instrument_id=100 + i % 3) for i in range(30)]
    write_file(tmp_path / "dbn-data", "trades", records, symbols=["ES.FUT"], mappings=mappings, stype_in="parent")
    result = cli("replay", "--speed", "max", "--sink", "stdout", "--symbol", "spread", "--symbol", "esh6")
    assert result.returncode == 0, result.stderr
    symbols = {json.loads(line)["event"]["symbol"] for line in result.stdout.splitlines()}
    assert symbols == {"ESH6", "ESZ5-ESH6"}
    assert "20 events: 20 trades of spread, esh6" in result.stderr
    nothing = cli("replay", "--symbol", "NQ")
    assert nothing.returncode == 6
    assert "no NQ in ./dbn-data, which holds ES.FUT, ESH6, ESZ5, ESZ5-ESH6" in nothing.stderr
    assert " ESZ5-ESH6        instrument 102        spread" in cli("discover", "-v").stdout


@pytest.mark.parametrize(
    ("day", "session", "events"),
    [
        (date(2025, 12, 16), SessionKind.ALL, 24),
        (date(2025, 12, 16), SessionKind.RTH, 7),  # 10:00 to 16:00, the end left out, of New York's hours
        (date(2025, 11, 28), SessionKind.RTH, 4),  # it closes at 13:00
        (date(2025, 12, 16), SessionKind.ETH, 23),  # without the hour from 17:00
        (date(2025, 12, 14), SessionKind.RTH, 0),  # a Sunday
        (date(2025, 12, 14), SessionKind.ETH, 1),  # from 18:00 on
    ],
)
def test_the_hours_of_a_session(tmp_path: Path, day: date, session: SessionKind, events: int) -> None:
    hours = [trade(day_start(day) + hour * HOUR + HOUR // 2) for hour in range(24)]
    write_file(tmp_path, "trades", hours, day=day)
    plan = plan_request(request(tmp_path, dates=(str(day),), session=session))
    assert sum(plan.volume.events.values()) == events


def test_a_duration_counts_from_the_start_or_the_first_event(data: Path) -> None:
    plan = plan_request(request(data, start="open", duration="90s"))
    assert plan.selection.end_ns - plan.selection.start_ns == 90 * SECOND
    plan = plan_request(request(data, duration="1s"))
    assert plan.selection.end_ns == min(info.first_ns or 0 for info in plan.infos) + SECOND


def test_a_plan_that_is_played_several_times_takes_as_much_more(cli: Cli, data: Path) -> None:
    once, thrice = (json.loads(cli("replay", "--dry-run", "--json", "--loop", loops).stdout) for loops in ("1", "3"))
    assert (thrice["loops"], thrice["stream_bytes"]) == (3, 3 * once["stream_bytes"])
    assert thrice["wall_s"] == pytest.approx(3 * once["wall_s"])
    assert "3 times" in cli("replay", "--dry-run", "--loop", "3").stderr
