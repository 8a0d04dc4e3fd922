"""The program inside the test's own process: a tenth of what a process of its own costs."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from spyctl.cli.app import run

Here = Callable[..., "subprocess.CompletedProcess[str]"]


def runner(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], folder: Path) -> Here:
    """Return what runs ``spyctl ARGS`` in a folder, and returns what it printed."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.setenv("COLUMNS", "80")

    def here(*args: str) -> "subprocess.CompletedProcess[str]":
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", sys.stdout)  # given back: the program wraps both
            patch.setattr(sys, "stderr", sys.stderr)
            code = run(list(args))
        printed = capfd.readouterr()
        return subprocess.CompletedProcess(args, code, printed.out, printed.err)

    return here
