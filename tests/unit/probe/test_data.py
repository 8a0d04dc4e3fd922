"""Checks of the data folder and of Databento's key."""

from pathlib import Path

from spyctl.errors import NoDataError
from spyctl.probe.data import data_check, databento_check
from spyctl.probe.result import Advice, Verdict
from tests.support.probing import probe_request
from tests.support.records import T0, trade, write_file


def test_a_folder_is_counted(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", [trade(T0)])
    result = data_check(tmp_path)
    assert (result.verdict, result.text) == (Verdict.PASS, f"{tmp_path}: 1 date, 1 file")


def test_an_unreadable_file_is_a_warning(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", [trade(T0)])
    (tmp_path / "trades" / "bad.dbn").write_bytes(b"nonsense")
    result = data_check(tmp_path)
    assert (result.verdict, result.advice) == (Verdict.WARN, Advice.LIST_FILES)
    assert result.text.endswith("1 unreadable")


def test_a_folder_that_does_not_exist_brings_its_error(tmp_path: Path) -> None:
    result = data_check(tmp_path / "none")
    assert result.verdict is Verdict.WARN
    assert isinstance(result.error, NoDataError)


async def test_no_databento_key_is_skipped_and_an_unreachable_gateway_fails(tmp_path: Path) -> None:
    assert (await databento_check(probe_request(tmp_path))).verdict is Verdict.SKIP
    request = probe_request(tmp_path, databento_key="db-0123456789", gateway="http://127.0.0.1:1")
    result = await databento_check(request)
    assert result.verdict is Verdict.FAIL
    assert result.error is not None
    assert result.code is result.error.exit_code
