"""Events as tables, and back."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.parquet
import pytest

from spyctl.market.events import MBP10, BidAskLevel
from spyctl.market.subjects import KINDS, Kind
from spyctl.replay.tapes.tables import TableWriter
from tests.support.tapes import event, message

NUMBERS = {kind.subject: number for number, kind in zip((6, 1, 2, 3, 4, 5), KINDS, strict=False)}


def written(path: Path, kind: Kind, form: str, *numbers: int) -> Any:
    writer = TableWriter(path, kind, form)
    writer.add([message(number) for number in numbers])
    assert writer.finish() == path
    assert (writer.rows, writer.rejected) == (len(numbers), 0)
    return pyarrow.parquet.read_table(path) if form == "parquet" else pyarrow.csv.read_csv(path)


def from_row(kind: Kind, row: dict[str, Any]) -> Any:
    if kind.event_type is MBP10:
        names = ("bid_px", "bid_sz", "ask_px", "ask_sz")
        row["levels"] = tuple(BidAskLevel(*(row.pop(f"{name}_{n:02}") for name in names)) for n in range(10))
    return kind.event_type(**row)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.subject in NUMBERS], ids=lambda kind: kind.schema_id)
def test_parquet_gives_the_events_back(tmp_path: Path, kind: Kind) -> None:
    numbers = (NUMBERS[kind.subject], NUMBERS[kind.subject] + 6)
    rows = written(tmp_path / "x.parquet", kind, "parquet", *numbers).to_pylist()
    assert [row.pop("stream_seq") for row in rows] == list(numbers)
    assert [row.pop("stored_ns") for row in rows] == [message(number).stored_ns for number in numbers]
    assert [from_row(kind, row) for row in rows] == [event(number) for number in numbers]


def test_csv_has_a_column_for_each_field(tmp_path: Path) -> None:
    kind = next(kind for kind in KINDS if kind.event_type is MBP10)
    (row,) = written(tmp_path / "x.csv", kind, "csv", 4).to_pylist()
    assert (row["stream_seq"], row["symbol"], row["bid_px_00"], row["ask_px_09"]) == (4, "ES", 6_800.0, None)
    trades = written(tmp_path / "y.csv", KINDS[0], "csv", 6).to_pylist()
    assert asdict(event(6)) | {"conditions": trades[0]["conditions"]} == {
        key: value for key, value in trades[0].items() if key not in ("stream_seq", "stored_ns")
    }


def test_what_is_no_event_is_left_out_and_counted(tmp_path: Path) -> None:
    writer = TableWriter(tmp_path / "x.parquet", KINDS[0], "parquet")
    bad = [b"nonsense", b"{}", message(1).payload, message(6).payload.replace(b"680.0", b'"x"')]
    writer.add([message(6), *(message(6, payload=payload) for payload in bad), message(12)])
    assert writer.finish() is not None
    assert (writer.rows, writer.rejected) == (2, 4)


def test_nothing_is_left_of_a_table_without_rows_or_one_that_is_discarded(tmp_path: Path) -> None:
    empty = TableWriter(tmp_path / "x.parquet", KINDS[0], "parquet")
    assert empty.finish() is None
    half = TableWriter(tmp_path / "y.csv", KINDS[0], "csv")
    half.add([message(6)])
    half.discard()
    assert list(tmp_path.iterdir()) == []
