"""Files as Databento delivers them, and what becomes of them: a test for each case of docs/files.md."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import databento_dbn as dbn
import pytest

from spyctl.dbn.catalog import Catalog, scan
from spyctl.dbn.choice import files_for_day
from spyctl.dbn.file_info import DBNFileInfo
from spyctl.dbn.overlaps import resolve_overlaps
from spyctl.dbn.quality import assess
from spyctl.dbn.sort_times import Selection
from spyctl.dbn.time_range import time_range
from spyctl.market.columns import events
from spyctl.market.events import MBP10, FuturesTrade
from spyctl.replay.source import Reading, read_batches
from spyctl.timing.instants import DAY as A_DAY
from spyctl.timing.instants import HOUR
from tests.support.plans import plan_of
from tests.support.records import (
    DAY,
    DAY_NS,
    ES,
    MS,
    SECOND,
    T0,
    book,
    content,
    definition,
    level,
    mapped,
    metadata,
    trade,
    write_file,
    zstd_frames,
)  # fmt: skip

NEXT = DAY + timedelta(days=1)
TRADES = [trade(T0 + i * MS, sequence=i) for i in range(10)]
BOOKS = [book(T0 + i * MS, sequence=i) for i in range(20)]
NEW = 42_140_878
ROLL = {"ES.c.0": [(date(2025, 9, 20), NEXT, str(ES)), (NEXT, date(2026, 3, 21), str(NEW))]}


def read(infos: Sequence[DBNFileInfo], symbols: Sequence[str] = ()) -> tuple[list[FuturesTrade | MBP10], Reading]:
    reading = Reading()
    batches = read_batches(infos, Selection(symbols=tuple(symbols)), reading)
    return [event for batch in batches for event in events(batch)], reading


def only(catalog: Catalog) -> DBNFileInfo:
    (info,) = catalog.files
    return info


# --- names and jobs


@pytest.mark.parametrize(
    "name",
    [
        "trades/glbx-mdp3-20251216.trades.dbn",
        "trades/glbx-mdp3-20251216.trades.ESZ5.dbn",
        "trades/glbx-mdp3-20251216.trades.0000.dbn",
        "GLBX-20251220-WQDHXB45MK/glbx-mdp3-20251216.trades.dbn",
        "2025/12/glbx-mdp3-20251214-20251219.trades.dbn",
        "mbp-10/glbx-mdp3-20251216.mbp-10.dbn",
        "mine.dbn",
    ],
)
def test_any_name_and_folder_is_found_and_the_header_says_what_it_is(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content(TRADES, metadata("trades")))
    info = only(scan(tmp_path))
    assert (info.schema, info.covers(DAY), info.misnamed) == ("trades", True, False)
    assert len(read([info])[0]) == 10


def test_records_prove_a_date_in_the_name_wrong(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES, day=NEXT)
    info = only(scan(tmp_path))
    assert (info.first_date, info.last_date, info.misnamed) == (DAY, DAY, True)


def test_per_symbol_splits_and_parts_are_one_input(tmp_path: Path) -> None:
    for number, symbol in ((1, "ESZ5"), (2, "ESH6")):
        mappings = {symbol: [(date(2025, 1, 1), date(2026, 1, 1), str(number))]}
        write_file(
            tmp_path, "trades", [trade(T0 + i, instrument_id=number) for i in range(3)],
            name=f"glbx-mdp3-20251216.trades.{symbol}.dbn", symbols=[symbol], mappings=mappings, stype_in="raw_symbol",
        )  # fmt: skip
    infos = scan(tmp_path).files
    assert resolve_overlaps(infos)[1] == []
    found, _ = read(infos)
    assert Counter(event.symbol for event in found) == {"ESZ5": 3, "ESH6": 3}


def test_an_unpacked_file_is_used_and_its_archive_passed_over(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES)
    archive = write_file(tmp_path, "trades", TRADES, compressed=True)
    catalog = scan(tmp_path)
    assert only(catalog).path.suffix == ".dbn"
    assert [path for path, _ in catalog.passed_over] == [archive]


@pytest.mark.parametrize("damage", [lambda data: data[:-7], lambda _: b"nothing"])
def test_an_archive_stands_in_for_a_damaged_unpacked_file(tmp_path: Path, damage: Any) -> None:
    unpacked = write_file(tmp_path, "trades", TRADES)
    unpacked.write_bytes(damage(unpacked.read_bytes()))
    write_file(tmp_path, "trades", TRADES, compressed=True)
    catalog = scan(tmp_path)
    assert (only(catalog).path.suffix, catalog.unreadable) == (".zst", [])
    assert catalog.passed_over[0][0] == unpacked


def test_an_archive_may_begin_with_a_frame_to_be_skipped(tmp_path: Path) -> None:
    path = write_file(tmp_path, "trades", TRADES, compressed=True)
    path.write_bytes(b"\x50\x2a\x4d\x18\x04\x00\x00\x00pzst" + path.read_bytes())
    info = only(scan(tmp_path))
    assert (info.records, info.problem, len(read([info])[0])) == (10, None, 10)


@pytest.mark.parametrize("keep", [0, 4])  # what a decompressor leaves that knows one frame; a cut between two records
def test_an_archive_stands_in_for_a_file_that_holds_less_than_it(tmp_path: Path, keep: int) -> None:
    archive = write_file(tmp_path, "trades", TRADES, compressed=True)
    unpacked = write_file(tmp_path, "trades", TRADES[:keep])
    catalog = scan(tmp_path)
    assert only(catalog).path == archive
    assert catalog.passed_over == [(unpacked, f"cut short: its archive {archive.name} is used")]
    assert len(read(catalog.files)[0]) == 10


def test_of_two_damaged_copies_the_one_that_holds_more_is_played(tmp_path: Path) -> None:
    archive = write_file(tmp_path, "trades", TRADES, compressed=True)
    unpacked = write_file(tmp_path, "trades", TRADES)
    archive.write_bytes(archive.read_bytes()[:-30])
    unpacked.write_bytes(unpacked.read_bytes()[:-7])
    catalog = scan(tmp_path)
    assert only(catalog).path == unpacked
    assert len(read(catalog.files)[0]) == 9


def test_files_that_are_not_replayed_are_named(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES)
    for schema in ("mbp-1", "ohlcv-1d", "definition", "mbo"):
        (tmp_path / f"glbx-mdp3-20251216.{schema}.dbn").write_bytes(metadata(schema))
    (tmp_path / "glbx-mdp3-20251216.tbbo.dbn.zst").write_bytes(zstd_frames(metadata("tbbo"), len(metadata("tbbo"))))
    for name in ("old.trades.dbz", "piece.frag", "half.dbn.zst.part"):
        (tmp_path / name).write_bytes(b"x")
    reasons = {path.name: reason for path, reason in scan(tmp_path).passed_over}
    assert reasons["glbx-mdp3-20251216.ohlcv-1d.dbn"] == "holds ohlcv-1d, not trades or mbp-10"
    assert "before DBN" in reasons["old.trades.dbz"]
    assert "without a header" in reasons["piece.frag"]
    assert "not finished" in reasons["half.dbn.zst.part"]
    assert reasons["glbx-mdp3-20251216.tbbo.dbn.zst"] == "holds tbbo, not trades or mbp-10"
    assert len(reasons) == 8


def test_a_file_without_records_is_sound(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", [], compressed=True)
    info = only(scan(tmp_path))
    assert (info.records, info.problem) == (0, None)
    assert read([info])[0] == []


def test_a_file_without_records_and_without_a_day_is_no_day_of_1970(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES)
    (tmp_path / "mine.dbn").write_bytes(metadata("trades", start=0, end=None))
    catalog = scan(tmp_path)
    assert only(catalog).first_date == DAY
    assert [reason for _, reason in catalog.passed_over] == ["holds no record, and tells of no day"]


def test_a_header_of_several_megabytes(tmp_path: Path) -> None:
    names = [f"ES{i:05}-X" for i in range(40_000)]
    mappings = {name: [(date(2025, 1, 1), date(2026, 1, 1), str(i))] for i, name in enumerate(names)}
    path = write_file(tmp_path, "trades", TRADES, symbols=names, mappings=mappings, compressed=True)
    info = only(scan(tmp_path))
    assert len(info.mappings) == 40_000
    assert path.stat().st_size < 4_000_000
    assert len(metadata("trades", symbols=names, mappings=mappings)) > 3_000_000


# --- live captures


def capture(records: Sequence[Any], *, version: int = 3, ts_out: bool = False) -> bytes:
    head = metadata(None, version=version, symbols=[], mappings={}, start=0, end=None, ts_out=ts_out)
    return content(records, head)


def test_complaints_of_the_gateway_are_reported(tmp_path: Path) -> None:
    slow = dbn.ErrorMsg(T0, "slow reader: 100 records were dropped")
    (tmp_path / "live.dbn").write_bytes(capture([mapped("ES.c.0", "ESZ5", ES), TRADES[0], slow, TRADES[1], slow]))
    info = only(scan(tmp_path))
    assert info.gateway_warnings() == ["live.dbn: the gateway said: slow reader: 100 records were dropped and 1 more"]
    assert len(read([info])[0]) == 2


def test_a_capture_that_is_damaged_before_its_first_trade_is_named(tmp_path: Path) -> None:
    head = len(capture([]))
    data = capture([mapped("ES.c.0", "ESZ5", ES), *TRADES])
    start = head + len(bytes(mapped("ES.c.0", "ESZ5", ES)))
    (tmp_path / "live.dbn").write_bytes(data[:start] + bytes(64) + data[start:])
    catalog = scan(tmp_path)
    assert (catalog.files, catalog.passed_over) == ([], [])
    assert [(error.reason, error.offset) for error in catalog.unreadable] == [("not a DBN record", start)]


@pytest.mark.parametrize("length", [11, 13, 16])
def test_a_trade_of_another_length_is_damage_and_not_passed_over(tmp_path: Path, length: int) -> None:
    records = [bytes(one) for one in TRADES]
    records[5] = bytes([length]) + records[5][1:]
    path = tmp_path / "live.dbn"
    path.write_bytes(capture([mapped("ES.c.0", "ESZ5", ES), *records]))
    info = only(scan(tmp_path))
    found, reading = read([info])
    assert len(found) == 5
    assert [error.reason for error in reading.damage] == ["not a DBN record, or one of a later version"]


def test_a_live_capture_is_read_as_what_it_holds(tmp_path: Path) -> None:
    mixed = [mapped("ES.c.0", "ESZ5", ES), dbn.SystemMsg(1, "Heartbeat")]
    for one, other in zip(TRADES, BOOKS, strict=False):
        mixed += [one, other]
    data = capture(mixed)
    (tmp_path / "live.dbn").write_bytes(data)
    (tmp_path / "packed.dbn.zst").write_bytes(zstd_frames(capture(mixed[2:]), len(capture([]))))
    infos = [info for info in scan(tmp_path).files if info.path.suffix == ".dbn"]
    assert [(info.schema, info.records, info.capture) for info in infos] == [("trades", 10, True), ("mbp-10", 10, True)]
    found, reading = read(infos)
    assert Counter(type(event) for event in found) == {FuturesTrade: 10, MBP10: 10}
    assert {event.symbol for event in found} == {"ES"}
    assert reading.damage == []
    assert len(read(infos, ["ESZ5"])[0]) == 20
    packed = [info for info in scan(tmp_path).files if info.path.suffix == ".zst"]
    found, reading = read(packed)
    assert {event.symbol for event in found} == {str(ES)}
    assert reading.unresolved == {ES: 20}


def test_a_capture_that_is_cut_short_or_bent_gives_what_is_whole(tmp_path: Path) -> None:
    data = capture(TRADES)
    path = tmp_path / "live.dbn"
    for bent, said in ((data[:-5], "cut short inside a record"), (data + bytes(64), "not a DBN record")):
        path.write_bytes(bent)
        info = only(scan(tmp_path))
        assert info.problem is not None
        assert said in info.problem.message
        found, reading = read([info])
        assert len(found) == 10 - (bent is not data + bytes(64) and len(bent) < len(data))
        assert len(reading.damage) == 1


def test_ts_out_lies_behind_each_record(tmp_path: Path) -> None:
    records = []
    for record in TRADES:
        raw = bytearray(bytes(record))
        raw[0] += 2
        records.append(bytes(raw) + (T0 + 5).to_bytes(8, "little"))
    (tmp_path / "live.dbn").write_bytes(capture(records, ts_out=True))
    assert len(read([only(scan(tmp_path))])[0]) == 10


def test_a_continuous_symbol_may_roll_within_a_capture(tmp_path: Path) -> None:
    later = [trade(T0 + A_DAY + i, instrument_id=NEW) for i in range(3)]
    records = [mapped("ES.c.0", "ESZ5", ES), *TRADES, mapped("ES.c.0", "ESH6", NEW, DAY_NS + A_DAY), *later]
    (tmp_path / "live.dbn").write_bytes(capture(records))
    found, reading = read([only(scan(tmp_path))])
    assert {event.symbol for event in found} == {"ES"}
    assert [(roll.symbol, roll.from_id, roll.to_id, roll.ts_ns) for roll in reading.rolls] == [
        ("ES", ES, NEW, DAY_NS + A_DAY)
    ]


def test_an_id_that_goes_to_another_instrument_within_a_capture_names_the_records_behind_it(tmp_path: Path) -> None:
    records = [mapped("ES.c.0", "ESZ5", ES), *TRADES, mapped("NQ.c.0", "NQZ5", ES), *TRADES, *BOOKS]
    (tmp_path / "live.dbn").write_bytes(capture(records))
    infos = scan(tmp_path).files
    found, _ = read(infos)
    named = [(type(event), event.symbol) for event in found]
    assert Counter(named) == {(FuturesTrade, "ES"): 10, (FuturesTrade, "NQ"): 10, (MBP10, "NQ"): 20}
    assert Counter(event.symbol for event in read(infos, ["NQ"])[0]) == {"NQ": 30}
    assert plan_of(tmp_path, symbols=("ES",)).volume.events == {"trades": 10, "mbp-10": 0}


# --- symbols


PARENT = {
    name: [(date(2025, 1, 1), date(2026, 1, 1), str(number))]
    for number, name in enumerate(["ESZ5", "ESH6", "ESZ5-ESH6", "ESM4 P5230", "UD:1V: VT 2828809", "EW3Z5"], start=100)
}


@pytest.mark.parametrize(
    ("words", "symbols"),
    [
        ((), set(PARENT)),
        (("ESZ5",), {"ESZ5"}),
        (("es",), {"ESZ5", "ESH6"}),
        (("outright",), {"ESZ5", "ESH6", "EW3Z5"}),
        (("spread",), {"ESZ5-ESH6", "UD:1V: VT 2828809"}),
        (("ESZ5*",), {"ESZ5", "ESZ5-ESH6"}),
        (("101", "EW3"), {"ESH6", "EW3Z5"}),
    ],
)
def test_a_parent_file_and_what_is_picked_of_it(tmp_path: Path, words: tuple[str, ...], symbols: set[str]) -> None:
    records = [trade(T0 + i, instrument_id=100 + i % 6, price=-5_000_000_000 if i % 6 == 2 else 1) for i in range(60)]
    write_file(tmp_path, "trades", records, symbols=["ES.FUT"], mappings=PARENT, stype_in="parent")
    infos = scan(tmp_path).files
    found, reading = read(infos, words)
    assert {event.symbol for event in found} == symbols
    assert reading.read == len(found) == 10 * len(symbols)
    plan = plan_of(tmp_path, symbols=words)
    assert sum(plan.volume.events.values()) == len(found)


def test_all_symbols_without_a_mapping_are_read_by_their_ids(tmp_path: Path) -> None:
    records = [trade(T0 + i, instrument_id=i % 300) for i in range(3_000)]
    write_file(tmp_path, "trades", records, symbols=["ALL_SYMBOLS"], mappings={}, stype_in="raw_symbol")
    found, reading = read(scan(tmp_path).files)
    assert len(found) == 3_000
    assert len(reading.unresolved) == 300
    assert {event.symbol for event in read(scan(tmp_path).files, ["7"])[0]} == {"7"}


def test_a_symbology_json_above_names_what_the_header_does_not(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES, symbols=["ALL_SYMBOLS"], mappings={}, stype_in="raw_symbol")
    result = {"ESZ5": [{"d0": "2025-01-01", "d1": "2026-01-01", "s": str(ES)}]}
    (tmp_path / "symbology.json").write_text(json.dumps({"result": result, "stype_out": "instrument_id"}))
    assert {event.symbol for event in read(scan(tmp_path).files)[0]} == {"ESZ5"}
    write_file(tmp_path, "trades", TRADES)
    assert {event.symbol for event in read(scan(tmp_path).files)[0]} == {"ES"}  # the header goes first


def as_version_1(message: Any) -> bytes:
    # The fields that the reader looks at stand where a DBN 1 record of 360 bytes has them.
    old = bytearray(360)
    old[:24] = bytes(message)[:24]
    old[0] = 360 // 4
    old[200:222] = message.raw_symbol.encode().ljust(22, b"\0")
    return bytes(old)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_definition_file_names_what_nothing_else_does(tmp_path: Path, compressed: bool) -> None:
    other = trade(T0 + 20 * MS, instrument_id=9)
    write_file(
        tmp_path, "trades", [*TRADES, other], symbols=["ALL_SYMBOLS"], mappings={}, stype_in="raw_symbol"
    )  # fmt: skip
    head = metadata("definition", symbols=["ALL_SYMBOLS"], mappings={}, stype_in="raw_symbol", version=3)
    records = [definition(i, f"ESZ{i % 9}-ESH{i}", DAY_NS) for i in range(500)]
    records += [definition(ES, "ESZ5", DAY_NS + 5), definition(ES, "ESZ5", DAY_NS + A_DAY)]
    data = content(records, head)
    path = tmp_path / f"glbx-mdp3-20251216.definition.dbn{'.zst' if compressed else ''}"
    path.write_bytes(zstd_frames(data, len(head)) if compressed else data)
    catalog = scan(tmp_path)
    assert catalog.passed_over == [(path, "holds definitions, which give names where nothing else does")]
    found, reading = read(catalog.files)
    assert Counter(event.symbol for event in found) == {"ESZ5": 10, "ESZ0-ESH9": 1}
    assert reading.unresolved == {}
    assert len(plan_of(tmp_path, symbols=("ESZ5",)).infos) == 1


def test_definitions_of_other_days_and_other_datasets_name_nothing_and_a_header_goes_first(tmp_path: Path) -> None:
    def write(name: str, dataset: bytes, day_ns: int, symbol: str) -> None:
        head = metadata("definition", mappings={}, start=day_ns, end=day_ns + A_DAY, version=3)
        data = content([definition(ES, symbol, day_ns)], head).replace(b"GLBX.MDP3", dataset)
        (tmp_path / f"{name}.dbn").write_bytes(data)

    write("a", b"IFEU.IMPA", DAY_NS, "BRN")
    write("b", b"GLBX.MDP3", DAY_NS - A_DAY, "ESU5")
    write_file(tmp_path, "trades", TRADES, symbols=["ALL_SYMBOLS"], mappings={}, stype_in="raw_symbol")
    assert {event.symbol for event in read(scan(tmp_path).files)[0]} == {str(ES)}
    write("c", b"GLBX.MDP3", DAY_NS, "ESZ5")
    assert {event.symbol for event in read(scan(tmp_path).files)[0]} == {"ESZ5"}
    write_file(tmp_path, "trades", TRADES)
    assert {event.symbol for event in read(scan(tmp_path).files)[0]} == {"ES"}


def test_a_definition_file_names_what_the_header_leaves_out(tmp_path: Path) -> None:
    both = [*TRADES, trade(T0 + SECOND, instrument_id=200), trade(T0 + SECOND, instrument_id=201)]
    write_file(tmp_path, "trades", both)
    (tmp_path / "symbology.json").write_text(json.dumps({"result": {"X": [{"d0": "2025-01-01", "d1": "2026-01-01",
                                                                           "s": "7"}]}}))  # fmt: skip
    head = metadata("definition", mappings={}, version=3)
    undefined = dbn.UNDEF_TIMESTAMP
    late = dbn.InstrumentDefMsg(1, 201, DAY_NS, undefined, 1, 1, "ESM6", "ES", "FUT", dbn.InstrumentClass.FUTURE,
                                dbn.SecurityUpdateAction.ADD)  # fmt: skip
    found = content([definition(ES, "ESZ5", DAY_NS), definition(200, "ESH6", DAY_NS), late], head)
    (tmp_path / "x.definition.dbn").write_bytes(found)
    names = Counter(event.symbol for event in read(scan(tmp_path).files)[0])
    assert names == {"ES": 10, "ESH6": 1, "ESM6": 1}
    assert len(read(scan(tmp_path).files, ["ESH6"])[0]) == 1
    assert plan_of(tmp_path, symbols=("ESH6",)).volume.events["trades"] == 1


@pytest.mark.parametrize("text", ["", "null", '{"result": null}', '{"result": []}', "{"])
def test_a_symbology_json_without_a_use_costs_names_and_no_data(tmp_path: Path, text: str) -> None:
    write_file(tmp_path, "trades", TRADES, symbols=["ALL_SYMBOLS"], mappings={}, stype_in="raw_symbol")
    (tmp_path / "symbology.json").write_text(text)
    catalog = scan(tmp_path)
    assert [Path(error.path).name for error in catalog.unreadable_sidecars] == ["symbology.json"]
    assert {event.symbol for event in read(catalog.files)[0]} == {str(ES)}


def test_definitions_of_dbn_1_and_of_a_file_that_is_cut_short(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES, symbols=["ALL_SYMBOLS"], mappings={}, stype_in="raw_symbol")
    head = metadata("definition", mappings={}, version=1)
    data = content([as_version_1(definition(ES, "ESZ5", DAY_NS)), as_version_1(definition(7, "NQZ5", DAY_NS))], head)
    (tmp_path / "x.definition.dbn").write_bytes(data[:-100])
    found, reading = read(scan(tmp_path).files)
    assert {event.symbol for event in found} == {"ESZ5"}
    assert [error.reason for error in reading.damage] == ["cut short inside a record"]


def test_a_parent_whose_symbols_are_partly_or_not_found(tmp_path: Path) -> None:
    mappings = {"ESZ5": [(DAY, NEXT, str(ES))], "ESH6": [(DAY - timedelta(9), DAY, "8")]}
    head = bytes(
        dbn.Metadata(
            "GLBX.MDP3", DAY_NS, dbn.SType.from_str("parent"), dbn.SType.INSTRUMENT_ID, dbn.Schema.from_str("trades"),
            symbols=["ES.FUT", "QQ.FUT"], partial=["ESZ5", "ESH6"], not_found=["QQ.FUT"], version=1,
            mappings=[
                SimpleNamespace(
                    raw_symbol=symbol,
                    intervals=[SimpleNamespace(start_date=a, end_date=b, symbol=s) for a, b, s in intervals],
                )
                for symbol, intervals in mappings.items()
            ],
        )
    )  # fmt: skip
    path = tmp_path / "glbx-mdp3-20251216.trades.dbn"
    path.write_bytes(content([*TRADES, trade(T0 + SECOND, instrument_id=8)], head))
    info = only(scan(tmp_path))
    assert (info.symbols, info.problem) == (("ES.FUT", "QQ.FUT"), None)
    found, reading = read([info])
    assert Counter(event.symbol for event in found) == {"ESZ5": 10, "8": 1}  # the interval of ESH6 is over
    assert reading.unresolved == {8: 1}


# --- days with odd hours


def test_a_holiday_is_silent_from_its_snapshot_until_the_evening(tmp_path: Path) -> None:
    evening = DAY_NS + 22 * HOUR
    rows = [book(DAY_NS - 9 * HOUR, DAY_NS, flags=168), *(book(evening + i * MS) for i in range(5))]
    write_file(tmp_path, "mbp-10", rows)
    write_file(tmp_path, "trades", [trade(evening + 2 * MS)])
    infos = scan(tmp_path).files
    assert [info.problem for info in infos] == [None, None]
    found, _ = read(infos)
    assert [isinstance(event, FuturesTrade) for event in found] == [False] * 3 + [True] + [False] * 3
    assert found[0].ts_event_ns == DAY_NS - 9 * HOUR  # the venue's own, however old
    assert [event.is_snapshot for event in found if isinstance(event, MBP10)] == [True] + [False] * 5
    times = time_range(files_for_day(infos, DAY, tmp_path), DAY)
    assert (times.snapshots, times.first_ns, times.last_ns) == (1, evening, evening + 4 * MS)
    plan = plan_of(tmp_path, speed=1.0, max_quiet_ns=60 * SECOND)
    assert plan.volume.wall_ns == 60 * SECOND + 4 * MS


def test_a_sunday_of_one_hour_with_several_snapshots_at_the_weekly_start(tmp_path: Path) -> None:
    sunday = date(2025, 12, 14)
    start = DAY_NS - 2 * A_DAY
    snapshot_ns, opening = start + 13 * HOUR + 5 * SECOND, start + 23 * HOUR
    rows = [
        book(start - 2 * A_DAY - i, snapshot_ns + i // 7, flags=40 if i < 19 else 168, sequence=i) for i in range(20)
    ]
    rows += [book(opening + i * MS, sequence=531 + i) for i in range(10)]
    write_file(tmp_path, "mbp-10", rows, day=sunday, start=start, end=start + A_DAY)
    write_file(tmp_path, "trades", [trade(opening, side=dbn.Side.NONE)], day=sunday, start=start, end=start + A_DAY)
    infos = scan(tmp_path).files
    assert {(info.first_date, info.last_date, info.misnamed) for info in infos} == {(sunday, sunday, False)}
    found, _ = read(infos)
    books = [event for event in found if isinstance(event, MBP10)]
    assert [event.is_snapshot for event in books] == [True] * 20 + [False] * 10
    assert [event.seq for event in books[:20]] == list(range(20))  # in the order of the file
    assert isinstance(found[20], FuturesTrade)
    assert found[20].aggressor == 0


def test_two_continuous_symbols_may_be_one_instrument(tmp_path: Path) -> None:
    interval = [(date(2025, 9, 20), date(2025, 12, 20), str(ES))]
    mappings = {"ES.c.0": interval, "ES.v.0": interval}
    write_file(tmp_path, "trades", TRADES, symbols=["ES.c.0", "ES.v.0"], mappings=mappings)
    found, reading = read(scan(tmp_path).files, ["ES.v.0"])
    assert (len(found), {event.symbol for event in found}, reading.rolls) == (10, {"ES"}, [])


def test_a_roll_between_two_days_is_noted_once_and_a_midnight_snapshot_is_of_its_own_day(tmp_path: Path) -> None:
    old = [book(T0 + i) for i in range(3)]
    snapshot = book(DAY_NS + A_DAY - 5, DAY_NS + A_DAY, flags=168, instrument_id=NEW)
    new = [snapshot, *(book(T0 + A_DAY + i, instrument_id=NEW) for i in range(3))]
    write_file(tmp_path, "mbp-10", old, mappings=ROLL)
    write_file(tmp_path, "mbp-10", new, mappings=ROLL, day=NEXT)
    write_file(tmp_path, "trades", [trade(T0)], mappings=ROLL)
    write_file(tmp_path, "trades", [trade(T0 + A_DAY, instrument_id=NEW)], mappings=ROLL, day=NEXT)
    found, reading = read(scan(tmp_path).files)
    assert {event.symbol for event in found} == {"ES"}
    assert reading.unresolved == {}
    assert [(roll.from_id, roll.to_id, roll.ts_ns) for roll in reading.rolls] == [(ES, NEW, DAY_NS + A_DAY)]


# --- what lies beside the files


def manifest(root: Path, *paths: Path) -> None:
    digests = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    files = [
        {"filename": path.name, "size": path.stat().st_size, "hash": f"sha256:{digest}"}
        for path, digest in digests.items()
    ]
    (root / "manifest.json").write_text(json.dumps({"job_id": "GLBX-1", "files": files}))


def test_time_range_and_report_know_what_the_manifest_knows(tmp_path: Path) -> None:
    path = write_file(tmp_path, "trades", [trade(T0 + i) for i in range(300)], compressed=True)
    manifest(tmp_path, path)
    data = path.read_bytes()
    path.write_bytes(data[: data.rfind(b"\x28\xb5\x2f\xfd")])
    infos = scan(tmp_path).files
    for damage in (time_range(infos, DAY).damage, assess(infos, DAY)["trades"][0].damage):
        assert ["manifest.json says" in error.message for error in damage] == [True]


def test_files_that_were_moved_out_of_their_job_are_there(tmp_path: Path) -> None:
    path = write_file(tmp_path, "trades", TRADES, compressed=True)
    (tmp_path / "job").mkdir()
    manifest(tmp_path / "job", path)
    assert scan(tmp_path).missing == []


def test_a_cut_between_two_frames_is_known_by_the_manifest(tmp_path: Path) -> None:
    path = write_file(tmp_path, "trades", [trade(T0 + i) for i in range(300)], compressed=True)
    manifest(tmp_path, path)
    head = metadata("trades")
    frames = zstd_frames(content([trade(T0 + i) for i in range(300)], head), len(head))
    whole_frames = zstd_frames(content([trade(T0 + i) for i in range(256)], head), len(head))
    assert frames.startswith(whole_frames[:-200])
    cut = frames.rfind(b"\x28\xb5\x2f\xfd")
    path.write_bytes(frames[:cut])
    info = only(scan(tmp_path))
    assert info.problem is not None
    assert f"cut short: manifest.json says {len(frames):,} bytes, it ends at byte {cut:,}" in info.problem.message
    found, reading = read([info])
    assert 0 < len(found) < 300
    assert [error.reason for error in reading.damage] == [info.problem.reason]


def test_files_that_a_manifest_lists_and_that_are_not_there(tmp_path: Path) -> None:
    path = write_file(tmp_path, "trades", TRADES, compressed=True)
    other = write_file(tmp_path, "trades", TRADES, compressed=True, day=NEXT)
    manifest(tmp_path / "trades", path, other)
    other.unlink()
    assert scan(tmp_path).missing == [other]
    path.with_suffix("").write_bytes(content(TRADES, metadata("trades")))
    path.unlink()
    assert scan(tmp_path).missing == [other]  # unpacked is as good


def test_the_condition_of_a_day(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES)
    (tmp_path / "condition.json").write_text(json.dumps([{"date": str(DAY), "condition": "degraded"}]))
    assert only(scan(tmp_path)).conditions == ((DAY, "degraded"),)


@pytest.mark.parametrize("name", ["manifest.json", "condition.json"])
@pytest.mark.parametrize("text", ["{", "[]", '{"files": 3}', '[{"date": "soon"}]', "\x00"])
def test_a_job_file_that_cannot_be_read_costs_itself_alone(tmp_path: Path, name: str, text: str) -> None:
    write_file(tmp_path, "trades", TRADES)
    write_file(tmp_path, "mbp-10", BOOKS)
    (tmp_path / name).write_text(text)
    catalog = scan(tmp_path)
    assert len(catalog.files) == 2
    assert [Path(error.path).name for error in catalog.unreadable_sidecars] in ([name], [])
    if text == "{":
        assert len(catalog.unreadable_sidecars) == 1


def test_versions_and_sides_and_levels_of_old_and_new_files_are_the_same(tmp_path: Path) -> None:
    thin = [level(), level(bid=None), *(level(bid=None, ask=None) for _ in range(8))]
    records = [book(T0, levels=thin), book(T0 + 1, flags=168, ts_recv=dbn.UNDEF_TIMESTAMP), *BOOKS]
    found = []
    for version in (1, 2, 3):
        root = tmp_path / str(version)
        write_file(root, "mbp-10", records, version=version)
        sides = [trade(T0 + SECOND, side=side) for side in (dbn.Side.BID, dbn.Side.ASK, dbn.Side.NONE)]
        write_file(root, "trades", sides, version=version)
        found.append(read(scan(root).files)[0])
    assert found[0] == found[1] == found[2]
    assert found[0][0].levels[1].bid_px is None


def test_of_two_names_of_one_instrument_the_one_asked_for_first_wins_each_time(tmp_path: Path) -> None:
    interval = [(date(2025, 9, 20), date(2025, 12, 20), str(ES))]
    for turn in range(8):
        names = ["ES.n.1", "ES.v.1", "ES.c.1"] if turn % 2 else ["ES.c.1", "ES.n.1", "ES.v.1"]
        path = write_file(
            tmp_path / str(turn), "trades", TRADES, symbols=names, mappings=dict.fromkeys(names, interval)
        )
        found, _ = read(scan(path.parent).files)
        assert {event.symbol for event in found} == {names[0]}
