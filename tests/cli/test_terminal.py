"""What a person sees in an 80×24 terminal."""

import re
import sys
from pathlib import Path

import pytest

from tests.support.records import MS, T0, book, trade, write_file
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


def test_a_replay_shows_where_it_is_and_then_sums_up(environment: dict[str, str], data: Path, tmp_path: Path) -> None:
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


def test_ctrl_c_drains_and_sums_up(environment: dict[str, str], data: Path, tmp_path: Path) -> None:
    terminal = start(environment, tmp_path, "replay", "--speed", "0.1")
    terminal.wait_for(lambda text: "published" in text and "▶ playing" in text)
    terminal.type(b"\x03")
    assert terminal.finish() == 130
    assert re.search(r"^ended .*\n +by Ctrl-C$", terminal.text(), re.MULTILINE)
    assert "stopping: " in terminal.text()
    assert "Traceback" not in terminal.text()


def test_no_color_means_no_colour(environment: dict[str, str], data: Path, tmp_path: Path) -> None:
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
