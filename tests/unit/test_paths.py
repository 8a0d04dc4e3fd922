"""Paths as a user would write them."""

from pathlib import Path

import pytest

from spyctl.paths import path_text


@pytest.mark.parametrize(
    ("path", "text"),
    [("dbn-data", "./dbn-data"), ("./dbn-data", "./dbn-data"), ("../es", "../es"), ("/srv/es", "/srv/es")],
)
def test_relative_paths_begin_with_a_dot_and_absolute_ones_stay(path: str, text: str) -> None:
    assert path_text(Path(path)) == text


def test_the_home_folder_is_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/es")
    assert path_text(Path("/home/es/data/x.dbn")) == "~/data/x.dbn"
    assert path_text(Path("/home/other/x.dbn")) == "/home/other/x.dbn"
