"""A look at single files: both ends, days, problems."""

from datetime import timedelta
from pathlib import Path

import pytest

from spyctl.dbn.catalog import scan
from spyctl.dbn.file_memory import open_memory
from spyctl.dbn.inspect import Inspector
from spyctl.dbn.sidecars import Sidecars
from spyctl.errors import DamagedFileError, OtherSchemaError
from spyctl.replay.source import DBNIngestor
from tests.support.plans import plan_of
from tests.support.records import DAY, DAY_NS, MS, SECOND, T0, content, metadata, trade, write_file

A_DAY = 86_400 * SECOND


def trades(*numbers: int) -> list[object]:
    return [trade(T0 + n * MS, sequence=n) for n in numbers]


@pytest.mark.parametrize("whole", [True, False])
def test_a_compressed_file_is_counted_only_where_it_is_asked_for(tmp_path: Path, whole: bool) -> None:
    path = write_file(tmp_path, "trades", trades(*range(30)), compressed=True)
    (info,) = Inspector(Sidecars(tmp_path), open_memory("extents")).inspect(path, count=whole)
    assert (info.records, info.first_ns) == (30 if whole else None, T0 + 100_000)
    assert info.last_ns == (T0 + 29 * MS + 100_000 if whole else None)


def test_the_ends_of_a_plain_file_are_read_and_its_records_counted_by_its_length(tmp_path: Path) -> None:
    path = write_file(tmp_path, "trades", trades(*range(30)))
    (info,) = Inspector(Sidecars(tmp_path), open_memory("extents")).inspect(path, count=False)
    assert (info.records, info.first_ns, info.last_ns, info.problem) == (
        30, T0 + 100_000, T0 + 29 * MS + 100_000, None,
    )  # fmt: skip


def test_a_file_of_another_schema_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "x.dbn"
    path.write_bytes(metadata("mbp-1"))
    with pytest.raises(OtherSchemaError, match="holds mbp-1, not trades or mbp-10"):
        Inspector(Sidecars(tmp_path), open_memory("extents")).inspect(path, count=True)


def test_files_of_a_name_of_their_own_end_where_their_records_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spyctl.dbn.catalog.SMALL", 0)  # as if they were too large to be counted
    for turn, name in enumerate(("tue", "wed", "thu")):
        some = trades(*range(turn * A_DAY // MS, turn * A_DAY // MS + 10))
        end = DAY_NS + 4 * A_DAY
        write_file(tmp_path, "trades", some, name=f"{name}.dbn.zst", compressed=True, start=DAY_NS, end=end)
    infos = scan(tmp_path).files
    assert [(info.first_date, info.last_date) for info in infos] == [
        (DAY + timedelta(n), DAY + timedelta(n)) for n in range(3)
    ]
    assert sum(plan_of(tmp_path).volume.events.values()) == 30


@pytest.mark.parametrize("compressed", [False, True])
def test_a_first_record_without_times_does_not_move_the_file_to_1970(tmp_path: Path, compressed: bool) -> None:
    undefined = (1 << 64) - 1
    for name, first in (("a", trade(undefined, undefined)), ("b", trade(DAY_NS - SECOND, undefined))):
        root = tmp_path / name
        write_file(root, "trades", [first, *trades(*range(5))], compressed=compressed)
        (info,) = scan(root).files
        assert (info.first_date, info.last_date, info.misnamed) == (DAY, DAY, False)


def test_conditions_of_long_files_count_to_the_last_day(tmp_path: Path) -> None:
    records = [trade(T0 - 100 * A_DAY), trade(T0)]
    write_file(tmp_path, "trades", records, name="glbx-mdp3-20250907-20251216.trades.dbn", start=T0 - 100 * A_DAY)
    (tmp_path / "condition.json").write_text(f'[{{"date": "{DAY}", "condition": "degraded"}}]')
    (info,) = scan(tmp_path).files
    assert info.conditions == ((DAY, "degraded"),)


def test_the_days_of_a_capture_are_those_of_its_records(tmp_path: Path) -> None:
    times = [T0 + n * A_DAY for n in (0, 3, 1)]  # the last record came late
    (tmp_path / "live.dbn").write_bytes(content([trade(ns) for ns in times], metadata(None, symbols=(), start=0)))
    (info,) = scan(tmp_path).files
    assert info.dates == [DAY, DAY + timedelta(3)]
    assert [info.covers(DAY + timedelta(n)) for n in range(-1, 5)] == [False, True, False, False, True, False]


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_of_several_days_knows_those_without_a_record(tmp_path: Path, compressed: bool) -> None:
    ending = ".zst" if compressed else ""
    name = f"glbx-mdp3-20251216-20251219.trades.dbn{ending}"
    write_file(tmp_path, "trades", [trade(T0), trade(T0 + 2 * A_DAY)], name=name, compressed=compressed)
    (info,) = scan(tmp_path).files
    assert (info.first_date, info.last_date) == (DAY, DAY + timedelta(3))
    assert info.dates == [DAY, DAY + timedelta(2)]
    assert info.covers(DAY + timedelta(1))  # it may be asked for: nothing is played then


@pytest.mark.parametrize(
    ("dataset", "error", "reason"),
    [
        ("EQUS.MINI", OtherSchemaError, "holds EQUS.MINI, which is no dataset of futures"),
        ("OPRA.PILL", OtherSchemaError, "holds OPRA.PILL, which is no dataset of futures"),
        ("GMBX.MDP3", DamagedFileError, "there is no dataset 'GMBX.MDP3', as its header says"),
    ],
)
def test_datasets_that_hold_no_futures_are_refused_by_name(
    tmp_path: Path, dataset: str, error: type[DamagedFileError], reason: str
) -> None:
    path = tmp_path / "x.dbn"
    path.write_bytes(content([trade()], metadata("trades")).replace(b"GLBX.MDP3", dataset.encode()))
    with pytest.raises(error) as caught:
        Inspector(Sidecars(tmp_path), open_memory("extents")).inspect(path, count=True)
    assert (type(caught.value), caught.value.reason) == (error, reason)


def test_a_deal_off_the_book_has_its_own_exchange(tmp_path: Path) -> None:
    records = [trade(publisher_id=57), trade(T0 + 1, publisher_id=84)]
    path = write_file(tmp_path, "trades", records)
    path.write_bytes(path.read_bytes().replace(b"GLBX.MDP3\0\0", b"IFEU.IMPACT"))
    assert [event.exchange for event in DBNIngestor(tmp_path).read_trades(DAY)] == ["IFEU", "XOFF"]


@pytest.mark.parametrize("capture", [False, True])
def test_a_first_record_without_ts_recv_counts_to_its_own_day(tmp_path: Path, capture: bool) -> None:
    undefined = (1 << 64) - 1
    records = [trade(T0 - 3 * A_DAY, undefined), trade(T0)]
    (tmp_path / "x.dbn").write_bytes(content(records, metadata(None if capture else "trades", start=0, end=None)))
    (info,) = scan(tmp_path).files
    assert info.dates == [DAY - timedelta(3), DAY]
