"""The user's folders, and how a path is written."""

from pathlib import Path

import pytest

from spyctl.bus.access import contexts
from spyctl.bus.embedded import default_store
from spyctl.cli.framework.settings import user_file
from spyctl.dbn.file_memory import open_memory
from spyctl.errors import path_text
from spyctl.live.spool import spool_folder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def hash_memory() -> Path:
    return open_memory("sha256").path


def test_folders_are_hidden_ones_in_the_home_folder_unless_named(home: Path) -> None:
    assert user_file() == home / ".config" / "spyctl" / "config.toml"
    assert default_store() == home / ".local" / "share" / "spyctl" / "nats"
    assert spool_folder("MARKET_DATA", "").parent == home / ".local" / "state" / "spyctl" / "spool"
    assert hash_memory() == home / ".cache" / "spyctl" / "sha256.json"


def test_xdg_variables_name_other_folders(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(home / name))
    context = home / "CONFIG" / "nats" / "context" / "prod.json"
    context.parent.mkdir(parents=True)
    context.write_text("{}")
    assert contexts() == {"prod": context}
    assert user_file() == home / "CONFIG" / "spyctl" / "config.toml"
    assert default_store() == home / "DATA" / "spyctl" / "nats"
    assert hash_memory() == home / "CACHE" / "spyctl" / "sha256.json"


def test_an_empty_xdg_variable_counts_as_unset(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "")
    assert user_file() == home / ".config" / "spyctl" / "config.toml"


@pytest.mark.parametrize(
    ("path", "text"),
    [("dbn-data", "./dbn-data"), ("../es", "../es"), (".", "."), ("/srv/es", "/srv/es")],
)
def test_a_path_is_written_as_a_user_would_type_it(path: str, text: str) -> None:
    assert path_text(Path(path)) == text


def test_the_home_folder_is_a_tilde(home: Path) -> None:
    assert path_text(home / "es" / "trades") == "~/es/trades"
