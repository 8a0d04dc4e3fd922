"""The user's folders, and how a path is written."""

from pathlib import Path

import pytest

from spyctl.paths import cache_folder, config_folder, data_folder, path_text


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_folders_are_hidden_ones_in_the_home_folder_unless_named(home: Path) -> None:
    assert config_folder() == home / ".config" / "spyctl"
    assert config_folder("nats") == home / ".config" / "nats"
    assert data_folder() == home / ".local" / "share" / "spyctl"
    assert cache_folder() == home / ".cache" / "spyctl"


def test_xdg_variables_name_other_folders(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(home / name))
    assert config_folder() == home / "CONFIG" / "spyctl"
    assert data_folder() == home / "DATA" / "spyctl"
    assert cache_folder() == home / "CACHE" / "spyctl"


def test_an_empty_xdg_variable_counts_as_unset(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "")
    assert config_folder() == home / ".config" / "spyctl"


@pytest.mark.parametrize(
    ("path", "text"),
    [("dbn-data", "./dbn-data"), ("../es", "../es"), (".", "."), ("/srv/es", "/srv/es")],
)
def test_a_path_is_written_as_a_user_would_type_it(path: str, text: str) -> None:
    assert path_text(Path(path)) == text


def test_the_home_folder_is_a_tilde(home: Path) -> None:
    assert path_text(home / "es" / "trades") == "~/es/trades"
