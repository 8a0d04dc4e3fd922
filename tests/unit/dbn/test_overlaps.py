"""Files that hold the same, wholly or in part: each record is read once, and none is lost."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from spyctl.dbn.catalog import scan
from spyctl.dbn.choice import files_for_day
from spyctl.dbn.overlaps import resolve_overlaps
from spyctl.dbn.time_range import time_range
from spyctl.market.columns import events
from spyctl.replay.source import Reading, read_batches
from tests.support.plans import plan_of
from tests.support.records import DAY, DAY_NS, MS, SECOND, T0, book, content, metadata, trade, write_file

A_DAY = 86_400 * SECOND


def trades(*numbers: int, ids: int | None = None) -> list[object]:
    more = {} if ids is None else {"instrument_id": ids}
    return [trade(T0 + n * MS, sequence=n, **more) for n in numbers]


def read(root: Path) -> tuple[list[int], Reading]:
    plan = plan_of(root)
    reading = Reading()
    batches = read_batches(plan.infos, plan.selection, reading)
    return [event.seq or 0 for batch in batches for event in events(batch)], reading


def test_two_ranges_that_overlap_are_played_once(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", trades(*range(30)), name="a.dbn")
    write_file(tmp_path, "trades", trades(*range(20, 60)), name="b.dbn")
    assert read(tmp_path)[0] == list(range(60))
    (overlap,) = resolve_overlaps(scan(tmp_path).files)[1]
    assert not overlap.wholly
    assert time_range(files_for_day(scan(tmp_path).files, DAY, tmp_path), DAY).records == 60


def numbers_in(root: Path) -> list[int]:
    return sorted(read(root)[0])


def test_one_job_split_twice_in_two_ways_is_played_once(tmp_path: Path) -> None:
    for job, cut in (("A", 25), ("B", 30)):
        for part, some in enumerate((range(cut), range(cut, 50))):
            write_file(tmp_path / job, "trades", trades(*some), name=f"glbx-mdp3-20251216.trades.{part:04}.dbn")
    assert numbers_in(tmp_path) == list(range(50))


def test_numbered_parts_may_lie_side_by_side_in_time(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", trades(*range(0, 50, 2)), name="glbx-mdp3-20251216.trades.0000.dbn")
    write_file(tmp_path, "trades", trades(*range(1, 50, 2)), name="glbx-mdp3-20251216.trades.0001.dbn")
    assert numbers_in(tmp_path) == list(range(50))


@pytest.mark.parametrize("at", [0, 5, 9], ids=["at its start", "inside", "at its end"])
def test_a_file_of_one_instant_within_another_is_an_overlap(tmp_path: Path, at: int) -> None:
    write_file(tmp_path / "day", "trades", trades(at), name="a.dbn")
    write_file(tmp_path / "week", "trades", trades(*range(10)), name="b.dbn")
    assert numbers_in(tmp_path) == list(range(10))
    (overlap,) = resolve_overlaps(scan(tmp_path).files)[1]
    assert overlap.text(tmp_path).startswith("week/trades/b.dbn is used in part: day/trades/a.dbn holds some of its")


def test_two_files_that_share_the_instant_where_one_ends_and_the_other_begins_are_neighbours(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", trades(*range(10)), name="a.dbn")
    write_file(tmp_path, "trades", [trade(T0 + 9 * MS, sequence=99), *trades(10)], name="b.dbn")
    assert numbers_in(tmp_path) == [*range(11), 99]
    assert resolve_overlaps(scan(tmp_path).files)[1] == []


@pytest.mark.parametrize("compressed", [False, True])
def test_of_one_instant_at_the_edge_of_another_file_the_records_tell_what_is_the_same(
    tmp_path: Path, compressed: bool
) -> None:
    ending = ".zst" if compressed else ""
    write_file(tmp_path, "trades", trades(*range(10)), name=f"a.dbn{ending}", compressed=compressed)
    other = tmp_path / "trades" / f"b.dbn{ending}"
    for records, expected in (
        ([trade(T0 + 9 * MS, sequence=99)], [*range(10), 99]),  # of one instant, another record
        (trades(9), list(range(10))),
    ):
        write_file(tmp_path, "trades", records, name=other.name, compressed=compressed)
        assert numbers_in(tmp_path) == expected


EVERYTHING = {"symbols": ["ALL_SYMBOLS"], "mappings": {}, "stype_in": "raw_symbol"}
JOB_WIDE = {
    "symbols": ["ESZ5", "NQZ5"], "stype_in": "raw_symbol",
    "mappings": {"ESZ5": [(DAY, DAY + timedelta(1), "1")], "NQZ5": [(DAY, DAY + timedelta(1), "2")]},
}  # fmt: skip


@pytest.mark.parametrize("header", [EVERYTHING, JOB_WIDE], ids=["without", "job-wide"])
def test_files_of_one_symbol_each_are_one_input_whatever_their_headers_name(
    tmp_path: Path, header: dict[str, Any]
) -> None:
    for number, symbol in ((1, "ESZ5"), (2, "NQZ5")):
        name = f"glbx-mdp3-20251216.trades.{symbol}.dbn"
        write_file(tmp_path, "trades", trades(*range(number, 50, 2), ids=number), name=name, **header)
    assert numbers_in(tmp_path) == list(range(1, 50))
    assert resolve_overlaps(scan(tmp_path).files)[1] == []


@pytest.mark.parametrize("compressed", [False, True])
def test_where_no_header_names_instruments_the_records_do(tmp_path: Path, compressed: bool) -> None:
    end = ".zst" if compressed else ""
    for number, name in ((1, "es"), (2, "nq")):
        of_one = trades(*range(number, 50, 2), ids=number)
        write_file(tmp_path, "trades", of_one, name=f"{name}.dbn{end}", compressed=compressed, **EVERYTHING)
    assert numbers_in(tmp_path) == list(range(1, 50))
    write_file(tmp_path, "trades", trades(*range(1, 50, 2), ids=1), name="es-again.dbn", **EVERYTHING)
    assert numbers_in(tmp_path) == list(range(1, 50))


def test_an_instrument_id_of_another_day_is_another_instrument(tmp_path: Path) -> None:
    day = timedelta(1)
    front = {"ES.c.0": [(DAY, DAY + day, "100"), (DAY + day, DAY + 2 * day, "200")]}
    other = {"NQZ5": [(DAY + day, DAY + 2 * day, "100")]}
    shift = A_DAY // MS
    both = [*trades(*range(9), ids=100), *trades(*range(shift, shift + 9), ids=200)]
    write_file(tmp_path, "trades", both, name="glbx-mdp3-20251216-20251217.trades.dbn", mappings=front)
    write_file(tmp_path, "trades", trades(*range(shift + 1, shift + 6), ids=100), name="b.dbn", mappings=other)
    assert len(read(tmp_path)[0]) == 23


def test_a_live_capture_yields_to_what_the_vendor_delivers(tmp_path: Path) -> None:
    head = metadata(None, version=3, symbols=[], mappings={}, start=0, end=None)
    (tmp_path / "a-live.dbn").write_bytes(content(trades(*range(5, 30)), head))
    write_file(tmp_path, "trades", trades(*range(20)), name="z.dbn")
    (overlap,) = resolve_overlaps(scan(tmp_path).files)[1]
    assert (overlap.kept.path.name, overlap.other.path.name, overlap.wholly) == ("z.dbn", "a-live.dbn", False)
    assert numbers_in(tmp_path) == list(range(30))


def test_vendor_and_synthetic_files_do_not_overlap(tmp_path: Path) -> None:
    write_file(tmp_path / "v", "trades", trades(*range(9)))
    write_file(tmp_path / "s", "trades", trades(*range(9)))
    (tmp_path / "s" / "metadata.json").write_text('{"synthetic": true}')
    assert resolve_overlaps(scan(tmp_path).files)[1] == []


def test_only_the_shared_instruments_are_left_out(tmp_path: Path) -> None:
    span = (DAY, DAY + timedelta(1))
    front, both = {"ES.c.0": [(*span, "1")]}, {"ESZ5": [(*span, "1")], "ESH6": [(*span, "2")]}
    write_file(tmp_path, "trades", trades(*range(10), ids=1), name="a.dbn", mappings=front)
    mixed = [one for n in range(10) for one in (*trades(n, ids=1), *trades(n + 100, ids=2))]
    mixed += trades(5, ids=2)  # inside the span of the other file
    write_file(tmp_path, "trades", sorted(mixed, key=lambda one: one.ts_recv), name="b.dbn", mappings=both)
    assert numbers_in(tmp_path) == sorted([*range(10), 5, *range(100, 110)])


def test_a_whole_file_goes_before_a_damaged_one_and_both_before_nothing(tmp_path: Path) -> None:
    cut = write_file(tmp_path, "trades", trades(*range(100)), name="a.dbn")
    cut.write_bytes(cut.read_bytes()[: -48 * 51 - 7])
    assert read(tmp_path)[0] == list(range(48))
    write_file(tmp_path, "trades", trades(*range(100)), name="b.dbn")
    numbers, reading = read(tmp_path)
    assert (numbers, reading.damage) == (list(range(100)), [])


def test_two_halves_of_a_day_are_told_apart_by_their_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spyctl.dbn.catalog.SMALL", 0)  # as if they were too large to be counted
    noon = T0 + 50 * MS
    for name, numbers, start, end in (("a", range(50), DAY_NS, noon), ("b", range(50, 100), noon, DAY_NS + A_DAY)):
        name = f"{name}.dbn.zst"
        write_file(tmp_path, "trades", trades(*numbers), name=name, compressed=True, start=start, end=end)
    assert read(tmp_path)[0] == list(range(100))


@pytest.mark.parametrize("tail", [bytes(96), b"\xff" * 48])
def test_a_bad_end_hides_no_overlap(tmp_path: Path, tail: bytes) -> None:
    bad = write_file(tmp_path, "trades", trades(*range(100)), name="a.dbn")
    bad.write_bytes(bad.read_bytes() + tail)
    infos = scan(tmp_path).files
    assert "not a trades record at byte" in infos[0].problem.message  # type: ignore[union-attr]
    write_file(tmp_path, "trades", trades(*range(100)), name="b.dbn")
    assert read(tmp_path)[0] == list(range(100))


def test_parts_that_share_a_packet_do_not_overlap(tmp_path: Path) -> None:
    for number, times in enumerate([(0, 1), (1, 2)]):
        records = [trade(T0 + i * MS) for i in times]
        write_file(tmp_path, "trades", records, name=f"glbx-mdp3-20251216.trades.{number:04}.dbn")
        write_file(tmp_path, "mbp-10", [book(T0 + i * MS) for i in times], name=f"mine-{number}.dbn")
    assert resolve_overlaps(scan(tmp_path).files)[1] == []


def test_overlaps_are_found_and_parts_are_not_overlaps(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", trades(*range(10)), name="glbx-mdp3-20251216.trades.0000.dbn")
    write_file(tmp_path, "trades", [trade(T0 + SECOND)], name="glbx-mdp3-20251216.trades.0001.dbn")
    assert resolve_overlaps(scan(tmp_path).files)[1] == []
    write_file(tmp_path, "trades", trades(*range(10)), name="glbx-mdp3-20251216.trades.copy.dbn")
    (overlap,) = resolve_overlaps(scan(tmp_path).files)[1]
    assert (overlap.kept.path.name, overlap.other.path.name) == (
        "glbx-mdp3-20251216.trades.0000.dbn",
        "glbx-mdp3-20251216.trades.copy.dbn",
    )
