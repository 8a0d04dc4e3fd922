"""How much is selected: counted, estimated within a tenth, or bounded."""

import random
from pathlib import Path
from typing import Any

import pytest
import zstandard

from spyctl.dbn.catalog import scan
from spyctl.dbn.choice import FileQuery, choose_files
from spyctl.dbn.sort_times import Selection
from spyctl.replay.volume import Pace, Volume, events_at_most, measure
from spyctl.timing.clock import Speed
from spyctl.timing.instants import HOUR, MINUTE, SECOND
from tests.support.records import DAY_NS, T0, content, metadata, trade, write_file

# An hour: quiet, but for its first minute.
TIMES = sorted(
    {T0 + random.Random(5).randrange(MINUTE) + i for i in range(3_000)} | {T0 + i * SECOND for i in range(3_600)}
)
RECORDS = [trade(ns, ns) for ns in TIMES]


def volume(root: Path, selection: Selection, *, read_at_most: int = 0, count: int | None = None) -> Volume:
    infos = choose_files(scan(root), FileQuery()).files
    return measure(infos, selection, Pace(Speed(1.0), SECOND), count=count, read_at_most=read_at_most)


def between(start_ns: int, end_ns: int) -> int:
    return sum(start_ns <= ns < end_ns for ns in TIMES)


def write(root: Path, how: str) -> Path:
    """Write the hour plain, in frames that say their size, or in one that does not."""
    if how in ("plain", "frames"):
        return write_file(root, "trades", RECORDS, compressed=how == "frames")
    head = metadata("trades")
    path = root / "glbx-mdp3-20251216.trades.dbn.zst"
    writer = zstandard.ZstdCompressor().compressobj()
    data = content(RECORDS, head)
    path.write_bytes(zstandard.compress(head) + writer.compress(data[len(head) :]) + writer.flush())
    return path


@pytest.mark.parametrize("how", ["plain", "frames"])
@pytest.mark.parametrize(("first", "minutes"), [(0, 1), (0, 2), (1, 1), (30, 10), (-5, 100)])
def test_a_part_of_a_large_file_is_estimated_within_a_tenth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, first: int, minutes: int
) -> None:
    monkeypatch.setattr("spyctl.dbn.catalog.SMALL", 0)
    write(tmp_path, how)
    start, end = T0 + first * MINUTE, T0 + (first + minutes) * MINUTE
    found = volume(tmp_path, Selection(start_ns=start, end_ns=end))
    assert (found.exact, found.known) == (False, True)
    assert found.events["trades"] == pytest.approx(between(start, end), rel=0.1)
    assert between(start, end) <= found.at_most["trades"] <= between(start - 2 * SECOND, end + 2 * SECOND)


def test_a_frame_that_does_not_say_its_size_is_read_from_its_beginning_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spyctl.dbn.catalog.SMALL", 0)
    path = write(tmp_path, "one frame")
    monkeypatch.setattr("spyctl.dbn.file_info._UNPACKED", {"trades": 10_000})
    first_minute = Selection(start_ns=T0, end_ns=T0 + MINUTE)
    found = volume(tmp_path, first_minute, read_at_most=1_000_000)
    assert (found.known, found.events["trades"]) == (True, between(T0, T0 + MINUTE))
    later = Selection(start_ns=T0 + 30 * MINUTE, end_ns=T0 + 40 * MINUTE)
    unknown = volume(tmp_path, later, read_at_most=100_000)
    assert not unknown.known
    assert len(TIMES) <= unknown.events["trades"] == unknown.at_most["trades"]
    assert unknown.events["trades"] * 48 <= len(RECORDS) * 48 + 2 * (1 << 17)
    infos = choose_files(scan(path.parent), FileQuery()).files
    assert events_at_most(infos, later)["trades"] == between(T0 + 30 * MINUTE, T0 + 40 * MINUTE)


def test_a_count_bounds_an_estimate(tmp_path: Path) -> None:
    write(tmp_path, "plain")
    found = volume(tmp_path, Selection(), count=100)
    assert (sum(found.events.values()), found.at_most["trades"]) == (100, 100)


def test_an_estimate_knows_the_time_that_is_played_and_that_quiet_is_shortened(tmp_path: Path) -> None:
    for day, shift in ((16, 0), (17, 86_400 * SECOND)):
        records = [trade(T0 + shift), trade(T0 + shift + 10 * SECOND)]
        write_file(tmp_path, "trades", records, name=f"glbx-mdp3-202512{day}.trades.dbn")
    found = volume(tmp_path, Selection(start_ns=T0))
    assert found.wall_ns is not None
    assert found.wall_ns == pytest.approx(21 * SECOND, rel=0.01)
    assert (found.first_ns, found.events["trades"]) == (T0 + 100_000, 4)


def test_nothing_in_range_is_nothing(tmp_path: Path) -> None:
    write(tmp_path, "plain")
    found: Any = volume(tmp_path, Selection(end_ns=T0 - MINUTE))
    assert (found.first_ns, found.wall_ns, sum(found.events.values())) == (None, 0, 0)


def test_an_estimate_leaves_out_when_the_market_is_closed(tmp_path: Path) -> None:
    last_ns = DAY_NS + 86_399 * SECOND  # 18:59:59 New York; the break is from 17:00 to 18:00
    write_file(tmp_path, "trades", [trade(DAY_NS, DAY_NS), trade(last_ns, last_ns)])
    found = volume(tmp_path, Selection())
    assert found.schedule is not None
    assert found.schedule.quiet == [(DAY_NS + 22 * HOUR, DAY_NS + 23 * HOUR)]
    assert found.wall_ns == 86_399 * SECOND - HOUR + SECOND


def test_a_record_without_any_time_does_not_begin_the_plan_in_1970(tmp_path: Path) -> None:
    undefined = (1 << 64) - 1
    write_file(tmp_path, "trades", [trade(undefined, undefined), trade(T0)])
    found = volume(tmp_path, Selection(), read_at_most=1_000_000)
    assert (found.first_ns, found.events["trades"]) == (T0, 1)
