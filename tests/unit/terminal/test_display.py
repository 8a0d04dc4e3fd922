"""The alternate screen: taken by the first frame, given back once."""

import io

import pytest
from rich.text import Text

from spyctl.terminal.display import Display


class Screen(io.StringIO):
    def __init__(self, *, gone: bool = False) -> None:
        super().__init__()
        self.gone = gone

    def write(self, text: str) -> int:
        if self.gone:
            raise OSError(5, "Input/output error")
        return super().write(text)


@pytest.fixture(autouse=True)
def small_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "5")
    monkeypatch.setenv("LINES", "3")


def test_the_first_frame_takes_the_screen_and_the_end_gives_it_back() -> None:
    screen = Screen()
    display = Display(screen, colour=False)
    display.give_back()
    assert screen.getvalue() == ""  # nothing to give back yet
    display.show(Text("a\nb"))
    display.show(Text("a\nb"))
    display.give_back()
    display.give_back()
    for code in ("\x1b[?1049h", "\x1b[?1049l", "\x1b[?25l", "\x1b[?25h"):
        assert screen.getvalue().count(code) == 1
    assert screen.getvalue().endswith("\x1b[?1049l")


def test_a_line_is_cleared_behind_its_text_but_not_where_it_fills_the_screen() -> None:
    screen = Screen()
    display = Display(screen, colour=False)
    assert display.size == (5, 3)
    display.show(Text("ab\nabcde"))
    assert "\x1b[1;1Hab\x1b[K\x1b[2;1Habcde\x1b[J" in screen.getvalue()


def test_a_terminal_that_is_gone_is_an_error_while_drawing_and_none_afterwards() -> None:
    screen = Screen()
    display = Display(screen, colour=False)
    display.show(Text("a"))
    screen.gone = True
    with pytest.raises(OSError, match="Input/output"):
        display.show(Text("a"))
    display.give_back()


def test_in_the_background_the_screen_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    display = Display(screen, colour=False)
    assert display.in_foreground  # no terminal controls it
    display.show(Text("a"))
    monkeypatch.setattr(Display, "in_foreground", False)
    display.show(Text("a"))
    assert screen.getvalue().endswith("\x1b[?1049l")
