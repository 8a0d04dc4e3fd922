"""Packages that are imported only when something of them is asked for."""

import subprocess
import sys
from pathlib import Path

import pytest

from spyctl.bus.stand_in import StandIn, defer_import


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package that nobody has imported."""
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "__init__.py").write_text("VALUE = 7\n")
    (tmp_path / "slow" / "part.py").write_text("from slow import VALUE\nTWICE = 2 * VALUE\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("slow", "slow.part"):
        monkeypatch.setitem(sys.modules, name, None)  # which also takes it out again afterwards
        del sys.modules[name]
    return "slow"


def test_a_package_is_imported_when_it_is_used(package: str) -> None:
    defer_import(package)
    import slow  # type: ignore[import-not-found]

    assert isinstance(sys.modules[package], StandIn)
    assert slow.VALUE == 7
    assert not isinstance(sys.modules[package], StandIn)
    assert slow.VALUE == 7  # by the name under which it was imported, as long as that lives


def test_names_and_parts_of_it_can_be_imported_too(package: str) -> None:
    defer_import(package)
    from slow import VALUE
    from slow.part import TWICE  # type: ignore[import-not-found]

    assert (VALUE, TWICE) == (7, 14)


def test_a_part_alone_can_be_imported_first(package: str) -> None:
    defer_import(package)
    import slow.part

    assert slow.part.TWICE == 14


def test_what_is_missing_is_missing(package: str) -> None:
    defer_import(package)
    import slow

    with pytest.raises(AttributeError, match="nothing"):
        _ = slow.nothing
    defer_import("not_installed_anywhere")
    with pytest.raises(ModuleNotFoundError):
        _ = sys.modules["not_installed_anywhere"].anything


def test_a_package_that_is_there_already_stays(package: str) -> None:
    import slow

    defer_import(package)
    assert sys.modules[package] is slow


def test_nats_py_is_imported_without_aiohttp() -> None:
    code = "import sys, spyctl.bus.connection; print('aiohttp.client' in sys.modules, 'nats.aio.client' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "True"]
