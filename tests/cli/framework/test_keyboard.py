"""What a terminal sends becomes keys; the terminal is left as it was."""

import asyncio
import os
import pty
import termios
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyctl.cli.framework.keyboard import Keyboard, keys_of
from tests.support.waiting import eventually


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        ("a", ["a"]),
        ("\x1b[A\x1bOB", ["up", "down"]),
        ("\x1b[5~x", ["pageup", "x"]),
        ("\x1b", ["escape"]),
        ("\x1b[1;5C.", ["."]),  # not a key of ours
        ("\x1b[", []),
        ("\r\t \x7f", ["enter", "tab", "space", "backspace"]),
        ("\x00\x01é", ["é"]),
    ],
)
def test_keys_of_what_was_sent(sent: str, keys: list[str]) -> None:
    assert keys_of(sent) == keys


@given(st.text())
def test_anything_can_be_sent(sent: str) -> None:
    assert all(key.isprintable() for key in keys_of(sent))


async def test_the_terminal_is_read_key_by_key_and_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, its = pty.openpty()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True, fileno=lambda: its))
    before, keys = termios.tcgetattr(its), []
    keyboard = Keyboard(keys.append)
    keyboard.take()
    keyboard.take()
    modes = termios.tcgetattr(its)[3]
    assert not modes & (termios.ICANON | termios.ECHO)
    assert modes & termios.ISIG  # Ctrl-C and Ctrl-Z stay what they are
    os.write(ours, b"q\x1b[D")
    await eventually(lambda: len(keys) == 2)
    assert (keys, keyboard.pressed.is_set()) == (["q", "left"], True)
    keyboard.give_back()
    keyboard.give_back()
    assert termios.tcgetattr(its) == before
    os.close(ours)
    os.close(its)


async def test_what_is_no_terminal_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: False))
    keyboard = Keyboard(lambda _: None)
    keyboard.take()
    keyboard.give_back()
    assert not keyboard.pressed.is_set()
    await asyncio.sleep(0)
