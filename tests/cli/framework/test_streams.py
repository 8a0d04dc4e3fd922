"""What the output streams can take."""

import ast
import io
import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest

import spyctl
from spyctl.cli.framework.streams import colours, drop, guarded, prepare_streams, unguarded, write
from spyctl.terminal.boxes import curve
from spyctl.terminal.outgoing import Mark


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


def _parsed(source: str) -> ast.Module:
    with suppress(SystemError):  # CPython 3.11 may miscount its own depth, once in a while (python/cpython#106905)
        return ast.parse(source)
    return ast.parse(source)


def test_every_glyph_that_we_write_has_a_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    prepare_streams()  # registers the codec's handler
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    glyphs = set(curve([0, 1, 2, 3], 2, 1, 0, 3)[0])
    for path in Path(spyctl.__file__).parent.rglob("*.py"):
        nodes = list(ast.walk(_parsed(path.read_text())))
        docstrings = {ast.get_docstring(node, clean=False) for node in nodes if isinstance(node, documented)}
        texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        glyphs |= {glyph for text in texts - docstrings for glyph in text if not glyph.isascii()}
    for glyph in glyphs - set(Mark) - {"\ufffd", "␡"}:
        assert glyph.encode("ascii", "spyctl") != b"?", glyph


def test_text_goes_out_without_what_steers_a_terminal_and_data_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="utf-8"))
    prepare_streams()
    write(f"{Mark.BOLD}ES{Mark.END} \x1b[2J token=abc")
    sys.stdout.buffer.write(b"\x1b[2J")
    sys.stdout.buffer.flush()
    assert raw.getvalue() == b"\x1b[1mES\x1b[0m \xe2\x90\x9b[2J token=****\n\x1b[2J"


def test_a_stream_is_guarded_once() -> None:
    stream = io.StringIO()
    once = guarded(stream)
    assert guarded(once) is once
    assert unguarded(once) is unguarded(stream) is stream


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
