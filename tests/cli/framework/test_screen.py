"""What a person sees in an 80×24 terminal."""

import re
import sys
from pathlib import Path

import pytest

from tests.support.records import MS, T0, book, trade, write_file
from tests.support.servers import NatsServer
from tests.support.terminal import Terminal

pytestmark = pytest.mark.integration


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "dbn-data"
    write_file(root, "trades", [trade(T0 + i * 20 * MS) for i in range(500)])
    write_file(root, "mbp-10", [book(T0 + i * MS) for i in range(10_000)], compressed=True)
    return root


def start(environment: dict[str, str], tmp_path: Path, *arguments: str) -> Terminal:
    return Terminal([sys.executable, "-m", "spyctl", *arguments], environment, tmp_path)


def test_a_display_gives_way_to_the_summary(environment: dict[str, str], data: Path, tmp_path: Path) -> None:
    terminal = start(environment, tmp_path, "replay", "--speed", "4")

    screen = terminal.wait_for(lambda text: "achieved 4.0" in text)
    assert "spyctl replay  2025-12-16   ▶ playing" in screen
    assert re.search(r"event time   09:30:0\d\.\d{3} New York   14:30:0\d\.\d{3} UTC", screen)
    assert re.search(r"speed +asked 4×   achieved [34]\.\d\d×   now \S+", screen)
    assert re.search(r"futures\.mbp10 +[\d,]+", screen)
    assert re.search(r"read [\d,]+   held [\d,]+   published [\d,]+   acked [\d,]+   in flight [\d,]+", screen)
    assert "NATS embedded" in screen

    terminal.wait_for(lambda text: "digest" in text)
    assert terminal.finish() == 0
    assert "10,500 read = 10,500 published = 10,500 acked" in terminal.text()
    assert "▶ playing" not in terminal.text()  # the display has made room for the summary
    assert terminal.raw.rstrip().endswith(b"the same for the same input")


def test_ctrl_c_on_a_display_drains_and_prints_the_summary(
    environment: dict[str, str], data: Path, tmp_path: Path
) -> None:
    terminal = start(environment, tmp_path, "replay", "--speed", "0.1")
    terminal.wait_for(lambda text: "published" in text and "▶ playing" in text)
    terminal.type(b"\x03")
    assert terminal.finish() == 130
    assert re.search(r"^ended .*\n +by Ctrl-C$", terminal.text(), re.MULTILINE)
    assert "stopping: " in terminal.text()
    assert "Traceback" not in terminal.text()


def test_a_display_has_no_colours_with_no_color(environment: dict[str, str], data: Path, tmp_path: Path) -> None:
    coloured = start(environment, tmp_path, "replay", "--speed", "max")
    coloured.finish()
    plain = start(environment | {"NO_COLOR": "1"}, tmp_path, "replay", "--speed", "max")
    plain.finish()
    colour = re.compile(rb"\x1b\[[0-9;]*(3[0-7]|38;|9[0-7])[0-9;]*m|\x1b\[2m")
    assert colour.search(coloured.raw)
    assert not re.search(rb"\x1b\[[0-9;]*3[0-7]", plain.raw)


def test_a_dumb_terminal_gets_plain_lines(environment: dict[str, str], data: Path, tmp_path: Path) -> None:
    terminal = Terminal(
        ["env", "TERM=dumb", sys.executable, "-m", "spyctl", "replay", "--speed", "max"], environment, tmp_path
    )
    assert terminal.finish() == 0
    assert b"\x1b" not in terminal.raw
    assert "10,500 read" in terminal.text()


def test_ctrl_z_gives_the_screen_back_and_fg_takes_it_again(
    environment: dict[str, str], data: Path, tmp_path: Path
) -> None:
    terminal = Terminal(["bash", "--norc", "--noprofile", "-i"], environment | {"PS1": "$ "}, tmp_path)
    terminal.type(f"{sys.executable} -m spyctl replay --speed 1\n".encode())
    terminal.wait_for(lambda text: "achieved" in text)
    terminal.type(b"\x1a")
    terminal.wait_for(lambda text: "Stopped" in text)
    assert terminal.raw.count(b"\x1b[?1049l") == 1  # the screen is given back,
    assert terminal.raw.rfind(b"\x1b[?25h") > terminal.raw.rfind(b"\x1b[?25l")  # and the cursor
    seen = len(terminal.raw)
    terminal.type(b"fg\n")
    terminal.wait_raw(b"\x1b[?1049h", seen)
    terminal.wait_for(lambda text: "achieved" in text)
    terminal.type(b"\x03")
    terminal.wait_for(lambda text: "by Ctrl-C" in text)
    terminal.type(b"exit\n")
    terminal.finish()


def test_the_screen_is_given_back_and_messages_are_printed_again(environment: dict[str, str], tmp_path: Path) -> None:
    root = tmp_path / "dbn-data"
    write_file(root, "trades", [trade(T0 + i * 20 * MS) for i in range(1_500)])
    server = NatsServer(tmp_path / "nats").start()
    terminal = start(environment, tmp_path, "replay", "--speed", "1", "--nats-url", server.url)
    terminal.wait_for(lambda text: "achieved" in text)
    assert terminal.raw.count(b"\x1b[?1049h") == 1
    terminal.type(b"\x03")
    assert terminal.finish() == 130
    server.stop()
    assert terminal.raw.count(b"\x1b[?1049l") == 1
    assert terminal.raw.rfind(b"\x1b[?1049l") < terminal.raw.rfind(b"stopping: ")  # said again on the screen itself
    assert "ended" in terminal.text()


def test_neither_a_pipe_nor_ci_nor_plain_gets_a_display(
    environment: dict[str, str], data: Path, tmp_path: Path
) -> None:
    for wrapped in (["env", "CI=true"], ["env", "TERM=dumb"], ["env", "SPYCTL_PLAIN=1"]):
        terminal = Terminal(
            [*wrapped, sys.executable, "-m", "spyctl", "replay", "--speed", "max"], environment, tmp_path
        )
        assert terminal.finish() == 0
        assert b"\x1b[?1049h" not in terminal.raw
