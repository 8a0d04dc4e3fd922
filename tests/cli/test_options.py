"""Options that several commands have."""

import pytest

from spyctl.cli.options import parse_address
from spyctl.errors import UsageError
from tests.conftest import Cli
from tests.support.records import T0, trade, write_file


@pytest.mark.parametrize("text", ["mbp-10", "MBP_10", "mbp10"])
def test_a_schema_has_any_spelling(cli: Cli, tmp_path, text: str) -> None:  # type: ignore[no-untyped-def]
    write_file(tmp_path / "dbn-data", "trades", [trade(T0)])
    result = cli("discover", "--schema", text)
    assert result.returncode == 6
    assert "no mbp-10 data" in result.stderr


@pytest.mark.parametrize("command", ["discover", "replay", "time-range", "fetch"])
def test_a_schema_that_does_not_exist_is_named_with_those_that_do(cli: Cli, command: str) -> None:
    arguments = ["--date", "2025-12-16"] if command in ("time-range", "fetch") else []
    result = cli(command, *arguments, "--schema", "mbo", DATABENTO_API_KEY="db-0123456789")
    assert result.returncode == 2
    assert "there is no schema 'mbo' here" in result.stderr
    assert "--schema trades, or --schema mbp-10" in result.stderr


def test_a_gateway_holds_no_secret(cli: Cli) -> None:
    result = cli("probe", "--gateway", "https://u:s3cret@host")
    assert (result.returncode, "s3cret" in result.stderr) == (2, False)
    assert "--gateway holds a user or password" in result.stderr


def test_an_address_is_a_port_or_a_host_and_a_port() -> None:
    assert parse_address("9464") == ("127.0.0.1", 9464)
    assert parse_address(":9464") == ("127.0.0.1", 9464)
    assert parse_address("0.0.0.0:80") == ("0.0.0.0", 80)
    assert parse_address("[::1]:80") == ("::1", 80)
    for text in ("", "x", "localhost", "1:99999", "1:-1"):
        with pytest.raises(UsageError):
            parse_address(text)
