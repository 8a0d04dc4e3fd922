"""Whole tapes into other files."""

from pathlib import Path

import pytest

from spyctl.market.subjects import SUBJECTS
from spyctl.replay.source import DBNIngestor
from spyctl.replay.tapes.catalog import TapeInfo, grouped, inspect_tape
from spyctl.replay.tapes.conversion import Conversion
from tests.support.tapes import STORED_NS, event, message, messages, record


def known(tape: Path) -> TapeInfo:
    info = inspect_tape(tape)
    assert info is not None
    return info


def converted(tapes: list[Path], folder: Path, form: str, subjects: tuple[str, ...] = SUBJECTS) -> Conversion:
    folder.mkdir(exist_ok=True)
    conversion = Conversion(grouped(list(map(known, tapes))), folder, form, subjects)
    conversion.run()
    return conversion


def test_a_table_for_each_subject(tmp_path: Path) -> None:
    made = converted([record(tmp_path, messages(1, 60))], tmp_path / "out", "parquet")
    assert sorted((path.name, rows) for path, rows in made.written) == [
        (f"MARKET_DATA-2025-12-16.{subject.removeprefix('market.')}.parquet", 10)
        for subject in sorted({message.subject for message in messages(1, 6)})
    ]  # fmt: skip
    assert sorted(path for path, _ in made.written) == sorted(path for path in made.targets if path.exists())
    assert (made.left_out, made.problems) == ({}, [])


def test_dbn_holds_the_futures_of_all_tapes(tmp_path: Path) -> None:
    tapes = [record(tmp_path / "a", messages(1, 60)), record(tmp_path / "b", messages(61, 90))]
    made = converted(tapes, tmp_path / "out", "dbn")
    assert [rows for _, rows in made.written] == [15, 15]
    assert made.left_out == {"DBN holds futures alone": 60}
    ingestor = DBNIngestor(tmp_path / "out")
    assert list(ingestor.read_trades()) == [event(number) for number in range(3, 91, 6)]
    assert list(ingestor.read_mbp10()) == [event(number) for number in range(4, 91, 6)]


@pytest.mark.parametrize("form", ["dbn", "parquet"])
def test_what_two_tapes_hold_is_converted_once(tmp_path: Path, form: str) -> None:
    tapes = [record(tmp_path / "a", messages(1, 60)), record(tmp_path / "b", messages(40, 90))]
    made = converted(tapes, tmp_path / "out", form, ("market.futures.trades",))
    assert [rows for _, rows in made.written] == [15]


def test_a_number_that_is_too_large_is_left_out_and_counted(tmp_path: Path) -> None:
    huge = [
        message(3, payload=message(3).payload.replace(b'"size":3', b'"size":%d' % size)) for size in (1 << 40, 1 << 70)
    ]
    stored = [one._replace(seq=seq, stored_ns=STORED_NS + seq) for seq, one in enumerate([*huge, message(3)], 1)]
    tape = record(tmp_path, stored)
    made = converted([tape], tmp_path / "dbn", "dbn")
    assert [rows for _, rows in made.written] == [1]
    assert sum(made.left_out.values()) == 2
    table = converted([tape], tmp_path / "table", "parquet")
    assert [rows for _, rows in table.written] == [2]
    assert sum(table.left_out.values()) == 1


def test_only_what_is_wanted_and_without_the_prefix(tmp_path: Path) -> None:
    tape = record(tmp_path, messages(1, 60, prefix="DRILL"))
    made = converted([tape], tmp_path / "out", "csv", ("market.gaps",))
    assert [(path.name, rows) for path, rows in made.written] == [("MARKET_DATA-2025-12-16.gaps.csv", 10)]


def test_a_cut_tape_gives_what_is_whole(tmp_path: Path) -> None:
    tape = record(tmp_path, messages(1, 100))
    tape.write_bytes(tape.read_bytes()[:-1])
    made = converted([tape], tmp_path / "out", "parquet", ("market.gaps",))
    assert [rows for _, rows in made.written] == [8]
    assert "cut short" in made.problems[0]


@pytest.mark.parametrize("form", ["parquet", "dbn"])
def test_nothing_half_written_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    def fail(*_: object) -> None:
        raise OSError("no")

    tape = record(tmp_path, messages(1, 60))
    monkeypatch.setattr("spyctl.replay.tapes.tables.TableWriter.finish", fail)
    monkeypatch.setattr("spyctl.dbn.export.DBNExport.finish", fail)
    with pytest.raises(OSError, match="no"):
        converted([tape], tmp_path / "out", form)
    assert list((tmp_path / "out").iterdir()) == []
