"""What the output streams can take."""

import io
import os
import sys

import pytest

from spyctl.cli.framework.streams import colours, drop, prepare_streams, write


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)


def test_glyphs_become_ascii_where_the_stream_is_not_utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    prepare_streams()
    write("14:25 → 14:35 × 2 … ü")
    assert raw.getvalue() == b"14:25 -> 14:35 x 2 ... ?\n"


def test_a_closed_stream_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    prepare_streams()
    assert sys.stderr is not None
    sys.stderr.write("nobody reads this")
    sys.stderr.close()


def test_a_dropped_stream_takes_what_is_written() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        os.close(reader)
        drop(stream)
        stream.write("nobody reads this")
        stream.flush()


def test_colours_are_for_terminals_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    assert colours(Screen())
    assert not colours(io.StringIO())
    monkeypatch.setenv("TERM", "dumb")
    assert not colours(Screen())


def test_no_color_wins_over_force_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert colours(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colours(Screen())
