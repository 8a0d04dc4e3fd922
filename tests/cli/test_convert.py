"""``spyctl convert`` as its users run it."""

import json
from pathlib import Path

import pyarrow.parquet
import pytest

from tests.conftest import Cli
from tests.support.here import Here
from tests.support.servers import NatsServer
from tests.support.tapes import messages, record


def test_parquet_files_appear_and_are_not_overwritten_unasked(here: Here, tmp_path: Path) -> None:
    record(tmp_path / "tapes", messages(1, 60))
    first = here("convert", "tapes", "--to", "parquet", "--out", "out", "--subject", "futures")
    assert first.returncode == 0, first.stderr
    assert "./out/MARKET_DATA-2025-12-16.futures.trades.parquet  10 events" in first.stderr
    table = pyarrow.parquet.read_table(tmp_path / "out" / "MARKET_DATA-2025-12-16.futures.trades.parquet")
    assert table.num_rows == 10
    again = here("convert", "tapes", "--to", "parquet", "--out", "out", "--subject", "futures")
    assert again.returncode == 2
    assert "--force overwrites it" in again.stderr
    forced = here("convert", "tapes", "--to", "parquet", "--out", "out", "--subject", "futures", "--force", "--json")
    assert [file["events"] for file in json.loads(forced.stdout)["files"]] == [10, 10]


def test_what_cannot_be_converted_is_said(here: Here, tmp_path: Path) -> None:
    tape = record(tmp_path / "tapes", messages(1, 60))
    assert here("convert", "none", "--to", "csv").returncode == 6
    nothing = here("convert", "tapes", "--to", "dbn", "--subject", "stocks")
    assert nothing.returncode == 6
    assert "20 events left out: DBN holds futures alone" in nothing.stderr
    tape.write_bytes(tape.read_bytes()[:-3])
    cut = here("convert", str(tape), "--to", "dbn")
    assert cut.returncode == 3
    assert "cut short" in cut.stderr
    assert here("convert", str(tape), "--to", "dbn").returncode == 2  # the files are there


@pytest.mark.integration
def test_dbn_to_the_stream_to_tape_to_dbn_is_the_same_input(cli: Cli, nats_server: NatsServer, tmp_path: Path) -> None:
    cli("sample", "--length", "20s")
    to_server = ("--nats-url", nats_server.url)
    played = json.loads(cli("replay", "--speed", "max", "--json", "-q", *to_server).stdout)
    assert cli("record", "--until-end", "-q", *to_server).returncode == 0
    assert cli("convert", "tapes", "--to", "dbn", "--out", "back").returncode == 0
    again = json.loads(
        cli("replay", "--data-dir", "back", "--speed", "max", "--json", "-q", "--prefix", "BACK", *to_server).stdout
    )
    assert again["digest"] == played["digest"]
    assert (again["published"], again["unresolved"], again["late"]) == (played["published"], 0, 0)
    document = json.loads(next((tmp_path / "tapes").glob("*.json")).read_text())
    assert document["digest"] == played["digest"]
