"""Synthetic files: reproducible, readable by Databento's own code, with the structure of real ones."""

from datetime import date
from pathlib import Path

import databento_dbn as dbn
import numpy as np
import orjson
import pytest

from spyctl.dbn.reader import DBNFile
from spyctl.dbn.sample import day_span, front_contract, is_vendor_folder, write_day
from spyctl.market.sessions import trading_day
from spyctl.timing.instants import DAY, HOUR, MINUTE, SECOND, day_start
from tests.support.records import trade, write_file

DAY16 = date(2025, 12, 16)
START = day_start(DAY16) + 14 * HOUR + 25 * MINUTE


def read(root: Path, schema: str) -> np.ndarray:
    (path,) = root.glob(f"*/*.{schema}.dbn.zst")
    return np.concatenate(list(DBNFile(path).chunks()))


@pytest.fixture(scope="module")
def ten_minutes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sample")
    write_day(root, DAY16, START, START + 10 * MINUTE)
    return root


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        write_day(tmp_path / name, DAY16, START, START + 20 * SECOND, seed=seed)
    a, b, c = ([path.read_bytes() for path in sorted((tmp_path / name).rglob("*.zst"))] for name in ("a", "b", "c"))
    assert a == b
    assert a != c


def test_the_official_decoder_reads_it(ten_minutes: Path) -> None:
    for schema, kind in (("trades", dbn.TradeMsg), ("mbp-10", dbn.MBP10Msg)):
        (path,) = ten_minutes.glob(f"*/*.{schema}.dbn.zst")
        decoder = dbn.DBNDecoder(compression=dbn.Compression.ZSTD)
        decoder.write(path.read_bytes())
        metadata, *records = decoder.decode()
        assert metadata.symbols == ["ES.c.0"]
        assert all(isinstance(record, kind) for record in records)
        assert len(records) == len(read(ten_minutes, schema)) > 1_000


def test_every_trade_has_its_twin_in_the_book(ten_minutes: Path) -> None:
    trades, books = read(ten_minutes, "trades"), read(ten_minutes, "mbp-10")
    fields = ["ts_event", "ts_recv", "price", "size", "side", "sequence"]
    twins = books[books["action"] == b"T"]
    assert np.array_equal(trades[fields], twins[fields])
    assert set(trades["flags"].tolist()) == {0}
    assert set(books["flags"].tolist()) == {0, 130}
    assert {b"A", b"B", b"N"} == set(trades["side"].tolist())


def test_times_are_like_real_ones(ten_minutes: Path) -> None:
    books = read(ten_minutes, "mbp-10")
    event, received = books["ts_event"].astype("i8"), books["ts_recv"].astype("i8")
    assert (np.diff(event) >= 0).all()
    assert (np.diff(received) >= 0).all()
    assert (np.diff(received) == 0).any()  # packets
    assert ((received - event) > 0).all()
    assert np.median(received - event) < 1_000_000
    opening = (event >= START + 5 * MINUTE) & (event < START + 5 * MINUTE + 10 * SECOND)
    before = (event >= START + 4 * MINUTE) & (event < START + 4 * MINUTE + 10 * SECOND)
    assert opening.sum() > 4 * before.sum()


@pytest.mark.parametrize(("day", "hour"), [(date(2025, 7, 1), 13), (DAY16, 14)])
def test_the_burst_follows_the_open_of_new_york_through_daylight_saving(tmp_path: Path, day: date, hour: int) -> None:
    open_ns = day_start(day) + hour * HOUR + 30 * MINUTE
    write_day(tmp_path, day, open_ns - MINUTE, open_ns + 10 * SECOND)
    event = read(tmp_path, "mbp-10")["ts_event"].astype("i8")
    assert (event >= open_ns).sum() > 4 * (event < open_ns - 50 * SECOND).sum()


def test_a_book_is_a_book(ten_minutes: Path) -> None:
    levels = read(ten_minutes, "mbp-10")["levels"]
    assert (levels["bid_px"][:, 0] < levels["ask_px"][:, 0]).all()
    assert (np.diff(levels["bid_px"], axis=1) < 0).all()
    assert (np.diff(levels["ask_px"], axis=1) > 0).all()
    assert (levels["bid_sz"] > 0).all()


def test_a_day_begins_with_the_midnight_snapshot(tmp_path: Path) -> None:
    start, _ = day_span(DAY16)
    write_day(tmp_path, DAY16, start, start + MINUTE, rate=5)
    first = read(tmp_path, "mbp-10")[0]
    assert (first["flags"], first["ts_recv"], first["side"]) == (168, start, b"N")
    assert first["ts_event"] < start


def test_the_market_pauses_and_a_sunday_has_one_hour(tmp_path: Path) -> None:
    write_day(tmp_path / "tue", DAY16, *day_span(DAY16), rate=0.2)
    event = read(tmp_path / "tue", "mbp-10")["ts_event"].astype("i8")
    pause = trading_day(DAY16)[1]
    assert not ((event >= pause) & (event < pause + HOUR)).any()
    sunday = date(2025, 12, 14)
    write_day(tmp_path / "sun", sunday, *day_span(sunday), rate=1)
    rows = read(tmp_path / "sun", "mbp-10")[1:]
    assert rows["ts_event"].astype("i8").min() >= day_start(sunday) + 23 * HOUR
    assert rows["levels"]["bid_px"][0][9] == dbn.UNDEF_PRICE


def test_the_front_contract_rolls_after_the_third_friday() -> None:
    before, first, end = front_contract(date(2025, 12, 19))
    after, next_first, _ = front_contract(date(2025, 12, 20))
    assert before == 294_973
    assert after != before
    assert (first, end, next_first) == (date(2025, 9, 20), date(2025, 12, 20), date(2025, 12, 20))


def test_the_folder_is_marked_and_describes_each_file(ten_minutes: Path) -> None:
    document = orjson.loads((ten_minutes / "metadata.json").read_bytes())
    assert document["synthetic"] is True
    assert {Path(name).parent.name for name in document["files"]} == {"trades", "MBP-10"}
    symbology = orjson.loads((ten_minutes / "symbology.json").read_bytes())
    assert symbology["result"]["ES.c.0"] == [{"d0": "2025-09-20", "d1": "2025-12-20", "s": "294973"}]


def test_days_are_added_to_the_description(tmp_path: Path) -> None:
    for day in (DAY16, date(2025, 12, 22)):
        start = day_start(day) + 15 * HOUR
        write_day(tmp_path, day, start, start + 5 * SECOND)
    assert len(orjson.loads((tmp_path / "metadata.json").read_bytes())["files"]) == 4
    assert len(orjson.loads((tmp_path / "symbology.json").read_bytes())["result"]["ES.c.0"]) == 2
    assert day_span(DAY16)[1] - day_span(DAY16)[0] == DAY


def test_a_folder_of_the_vendor_is_told_apart(tmp_path: Path) -> None:
    assert not is_vendor_folder(tmp_path)
    write_file(tmp_path, "trades", [trade()])
    assert is_vendor_folder(tmp_path)


def test_progress_is_told_in_event_time(tmp_path: Path) -> None:
    told: list[int] = []
    write_day(tmp_path, DAY16, START, START + 5 * MINUTE, rate=150, progress=told.append)
    assert told
    assert 0 < sum(told) <= 5 * MINUTE


def test_what_is_interrupted_leaves_no_file(tmp_path: Path) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_day(tmp_path, DAY16, START, START + 10 * MINUTE, progress=interrupt)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
