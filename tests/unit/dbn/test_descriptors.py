"""The limit of open files, and how many have to be open at once."""

import resource
from pathlib import Path

import pytest

from spyctl.dbn.catalog import scan
from spyctl.dbn.descriptors import make_room, open_at_once
from spyctl.errors import TooManyFilesError
from tests.support.records import SECOND, T0, trade, write_file


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The soft and the hard limit, as a system would keep them."""
    found = [130, 140]

    def change(_: int, new: tuple[int, int]) -> None:
        if new[0] > found[1]:
            raise ValueError("not allowed to raise maximum limit")
        found[:] = new

    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(found))
    monkeypatch.setattr(resource, "setrlimit", change)
    return found


def side_by_side(root: Path, count: int) -> Path:
    for i in range(count):
        name = f"glbx-mdp3-20251216.trades.S{i}.dbn"
        records = [trade(T0 + i, instrument_id=i), trade(T0 + SECOND + i, instrument_id=i)]
        write_file(root, "trades", records, name=name, symbols=(f"S{i}",), mappings={})
    return root


def test_files_one_after_the_other_are_open_one_at_a_time(tmp_path: Path) -> None:
    for i in range(3):
        write_file(tmp_path, "trades", [trade(T0 + i * SECOND), trade(T0 + i * SECOND + 5)], name=f"{i}.dbn")
    assert open_at_once(scan(tmp_path).files) == 1
    assert open_at_once(scan(side_by_side(tmp_path, 4)).files) == 5
    assert open_at_once([]) == 0


def test_files_that_share_an_instant_are_open_together(tmp_path: Path) -> None:
    for i in range(3):
        write_file(tmp_path, "trades", [trade(T0 + i * SECOND), trade(T0 + (i + 1) * SECOND)], name=f"{i}.dbn")
    assert open_at_once(scan(tmp_path).files) == 2


def test_the_limit_is_raised_as_far_as_needed(tmp_path: Path, limits: list[int]) -> None:
    infos = scan(side_by_side(tmp_path, 10)).files
    make_room(infos[:2])
    assert limits == [130, 140]
    make_room(infos)
    assert limits == [138, 140]


def test_more_than_the_system_allows_is_refused_with_both_numbers(tmp_path: Path, limits: list[int]) -> None:
    infos = scan(side_by_side(tmp_path, 20)).files
    with pytest.raises(
        TooManyFilesError, match="20 files have to be open at once, and the system allows 140"
    ) as caught:
        make_room(infos)
    assert caught.value.exit_code == 1
