"""The plan of a replay: how much there is in range, and how long it takes."""

from datetime import date
from pathlib import Path

from spyctl.dbn.sort_times import Selection
from spyctl.replay.plan import fingerprints
from spyctl.timing.instants import SECOND
from tests.support.plans import plan_of
from tests.support.records import DAY, DAY_NS, MS, T0, book, trade, write_file

TRADES = [trade(T0 + i * MS) for i in range(10)]
BOOKS = [book(DAY_NS - 5, DAY_NS, flags=168), *(book(T0 + i * MS) for i in range(20))]


def test_a_plan_counts_what_is_in_range(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES)
    write_file(tmp_path, "mbp-10", BOOKS, compressed=True)
    plan = plan_of(tmp_path, [], Selection(start_ns=T0, end_ns=T0 + 5 * MS), speed=0.001)

    assert plan.volume.events == {"trades": 5, "mbp-10": 5}
    assert (plan.volume.first_ns, plan.volume.last_ns, plan.volume.wall_ns) == (T0, T0 + 4 * MS, 4 * SECOND)
    assert plan.volume.exact


def test_a_plan_knows_that_quiet_stretches_are_shortened(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", [trade(T0), trade(T0 + 100 * SECOND), trade(T0 + 101 * SECOND)])
    plan = plan_of(tmp_path, speed=1.0, max_quiet_ns=5 * SECOND)
    assert plan.volume.wall_ns == 6 * SECOND


def test_a_trading_day_counts_the_events_of_two_files(tmp_path: Path) -> None:
    eve = date(2025, 12, 15)
    write_file(tmp_path, "trades", [trade(DAY_NS - 7_200 * SECOND), trade(DAY_NS - 3_600 * SECOND)], day=eve)
    write_file(tmp_path, "trades", TRADES)
    plan = plan_of(tmp_path, trading_day=DAY)
    assert plan.dates == (eve, DAY)
    assert plan.volume.events["trades"] == 11


def test_a_count_ends_the_plan_with_trades_before_books_of_the_same_time(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES)
    write_file(tmp_path, "mbp-10", BOOKS)
    plan = plan_of(tmp_path, selection=Selection(start_ns=T0), count=5)
    assert plan.volume.events == {"trades": 3, "mbp-10": 2}
    assert plan.volume.last_ns == T0 + 2 * MS


def test_the_speed_divides_the_wall_time_and_max_has_none(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES)
    assert plan_of(tmp_path, speed=2.0).volume.wall_ns == 9 * MS // 2
    assert plan_of(tmp_path, speed=0).volume.wall_ns is None


def test_nothing_in_range_has_no_first_event(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES)
    plan = plan_of(tmp_path, selection=Selection(end_ns=T0))
    assert (plan.volume.first_ns, plan.volume.last_ns, sum(plan.volume.events.values()), plan.volume.exact) == (
        None,
        None,
        0,
        True,
    )


def test_a_fingerprint_changes_with_the_bytes_and_with_the_names_of_instruments(tmp_path: Path) -> None:
    path = write_file(tmp_path, "trades", TRADES)
    before = fingerprints(plan_of(tmp_path).infos)
    assert before == fingerprints(plan_of(tmp_path).infos)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    (bent,) = fingerprints(plan_of(tmp_path).infos)
    assert (bent["sample"] == before[0]["sample"], bent["names"] == before[0]["names"]) == (False, True)
    write_file(tmp_path, "trades", TRADES, mappings={"ES.c.0": [(date(2025, 9, 20), date(2025, 12, 20), "7")]})
    (renamed,) = fingerprints(plan_of(tmp_path).infos)
    assert renamed["names"] != before[0]["names"]
