"""A process without a home folder is given one."""

import os
import pwd
import tempfile
from pathlib import Path
from typing import Any

import pytest

from spyctl.cli.framework.home import provide_home


@pytest.fixture
def homeless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go of a user whom nobody knows."""

    def unknown(*_: Any) -> Any:
        raise KeyError

    monkeypatch.setenv("HOME", "")  # so that what is set is undone
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_home_folder_stays_what_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert provide_home() == ""
    assert os.environ["HOME"] == str(tmp_path)


def test_it_is_private_and_the_same_the_next_time(homeless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = homeless / f"spyctl-{os.getuid()}"
    for _ in range(2):
        assert provide_home() == f"there is no home folder, so {folder} is used; HOME=DIR names another one"
        assert os.environ["HOME"] == str(folder)
        assert folder.stat().st_mode & 0o777 == 0o700
        monkeypatch.delenv("HOME")


def test_a_relative_home_folder_is_none(homeless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "here")
    assert "there is no home folder" in provide_home()


@pytest.mark.parametrize("kind", ["link", "open folder", "file"])
def test_what_somebody_else_has_put_there_is_not_used(homeless: Path, kind: str) -> None:
    taken = homeless / f"spyctl-{os.getuid()}"
    if kind == "link":
        (homeless / "theirs").mkdir(mode=0o700)
        taken.symlink_to(homeless / "theirs")
    elif kind == "file":
        taken.write_text("")
    else:
        taken.mkdir()
        taken.chmod(0o777)
    provide_home()
    used = Path(os.environ["HOME"])
    assert used != taken
    assert used.parent == homeless
    assert used.stat().st_mode & 0o777 == 0o700
