"""Keys come from the environment alone."""

import pytest

from spyctl.cli.keys import databento_key, massive_key, required_databento_key, required_massive_key
from spyctl.errors import KeyRefusedError


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("POLYGON_API_KEY", "MASSIVE_API_KEY", "DATABENTO_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_either_variable_holds_massives_key_and_polygon_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    assert massive_key() is None
    monkeypatch.setenv("MASSIVE_API_KEY", " one \n")
    assert massive_key() == ("MASSIVE_API_KEY", "one")
    monkeypatch.setenv("POLYGON_API_KEY", "two")
    assert massive_key() == ("POLYGON_API_KEY", "two")
    assert required_massive_key() == "two"


def test_a_missing_key_is_an_error_that_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYGON_API_KEY", "  ")
    with pytest.raises(KeyRefusedError, match="POLYGON_API_KEY and MASSIVE_API_KEY are not set") as error:
        required_massive_key()
    assert "spyctl live --sim" in error.value.remedy


@pytest.mark.parametrize("key", ["two\nlines", "two words", "schlüssel", "\x1b[2J"])
def test_what_cannot_be_a_key_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("MASSIVE_API_KEY", key)
    monkeypatch.setenv("DATABENTO_API_KEY", key)
    for read in (massive_key, required_massive_key, databento_key):
        with pytest.raises(KeyRefusedError, match="does not hold a key") as error:
            read()
        assert key not in error.value.message + error.value.remedy


def test_databentos_key_is_stripped_and_empty_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert databento_key() is None
    monkeypatch.setenv("DATABENTO_API_KEY", " ")
    assert databento_key() is None
    monkeypatch.setenv("DATABENTO_API_KEY", " db-1 ")
    assert databento_key() == "db-1"


def test_futures_without_a_key_say_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABENTO_API_KEY", raising=False)
    with pytest.raises(KeyRefusedError, match="DATABENTO_API_KEY is not set") as error:
        required_databento_key()
    assert "spyctl live --sim-es" in error.value.remedy
    monkeypatch.setenv("DATABENTO_API_KEY", "db-1")
    assert required_databento_key() == "db-1"
