"""The installer of the Makefile: it shows what pip is at, and all that it said where it fails."""

import io
import sys
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def installer() -> Any:
    spec = spec_from_file_location("install", ROOT / "tools" / "install.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


SAID = """\
Obtaining file:///spyctl
Collecting numpy>=1.26 (from spyctl==0.1.0)
  Downloading numpy-2.0.whl (18 MB)
Collecting rich
Requirement already satisfied: typer in lib
Installing collected packages: numpy, rich, spyctl
"""


def test_steps_are_packages_and_their_number(installer: Any) -> None:
    assert list(installer.steps(SAID.splitlines())) == [
        "package 1: numpy>=1.26", "package 2: rich", "unpacking 3 packages",
    ]  # fmt: skip


def test_a_terminal_shows_each_step_and_a_log_only_the_end(installer: Any) -> None:
    command = [sys.executable, "-c", f"print({SAID!r})"]
    screen, log = Screen(), io.StringIO()
    assert installer.install(command, screen) == installer.install(command, log) == 0
    assert "  package 2: rich, " in screen.getvalue()
    assert log.getvalue().startswith("installed in ")


def test_an_installation_that_fails_shows_all_that_was_said(installer: Any) -> None:
    out = io.StringIO()
    assert installer.install([sys.executable, "-c", "print('no such package'); raise SystemExit(3)"], out) == 3
    assert out.getvalue() == "no such package\n"
