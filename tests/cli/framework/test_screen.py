"""What a person sees in an 80×24 terminal."""

import re
import signal
import sys
from collections.abc import Iterator
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
    assert "spyctl replay   2025-12-16   ▶ playing" in screen
    assert re.search(r"event time 09:30:0\d\.\d{3} New York   14:30:0\d\.\d{3} UTC", screen)
    assert re.search(r"asked 4× +achieved [34]\.\d\d× +now \S+", screen)
    assert re.search(r"futures\.mbp10 +[\d,]+", screen)
    assert re.search(r"read [\d,]+ +held [\d,]+ +published [\d,]+ +acked [\d,]+ +in flight [\d,]+", screen)
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


def stopped_by_ctrl_z(environment: dict[str, str], tmp_path: Path) -> Terminal:
    terminal = Terminal(["bash", "--norc", "--noprofile", "-i"], environment | {"PS1": "$ "}, tmp_path)
    terminal.type(f"{sys.executable} -m spyctl replay --speed 1\n".encode())
    terminal.wait_for(lambda text: "achieved" in text)
    terminal.type(b"\x1a")
    terminal.wait_for(lambda text: "Stopped" in text)
    return terminal


def test_ctrl_z_gives_the_screen_back_and_fg_takes_it_again(
    environment: dict[str, str], data: Path, tmp_path: Path
) -> None:
    terminal = stopped_by_ctrl_z(environment, tmp_path)
    terminal.assert_given_back()
    seen = len(terminal.raw)
    terminal.type(b"fg\n")
    terminal.wait_raw(b"\x1b[?1049h", seen)
    terminal.wait_for(lambda text: "achieved" in text)
    terminal.type(b"\x03")
    terminal.wait_for(lambda text: "by Ctrl-C" in text)
    terminal.type(b"exit\n")
    terminal.finish()
    terminal.assert_given_back()


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


@pytest.fixture
def frozen_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server that a test may stop with SIGSTOP."""
    server = NatsServer(tmp_path / "nats").start()
    yield server
    assert server.process is not None
    server.process.send_signal(signal.SIGCONT)
    server.stop(kill=True)


def playing(environment: dict[str, str], tmp_path: Path, *arguments: str) -> Terminal:
    terminal = start(environment, tmp_path, "replay", "--speed", "1", *arguments)
    terminal.wait_for(lambda text: "▶ playing" in text and re.search(r"published [1-9]", text) is not None)
    return terminal


@pytest.mark.parametrize(
    ("number", "code", "by"),
    [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM"), (signal.SIGHUP, 143, "SIGHUP")],
)
def test_a_signal_gives_the_terminal_back(
    environment: dict[str, str], data: Path, tmp_path: Path, number: int, code: int, by: str
) -> None:
    terminal = playing(environment, tmp_path)
    terminal.process.send_signal(number)
    assert terminal.finish() == code
    terminal.assert_given_back()
    assert f"by {by}" in terminal.text()


def test_an_end_by_itself_gives_the_terminal_back(environment: dict[str, str], data: Path, tmp_path: Path) -> None:
    terminal = start(environment, tmp_path, "replay", "--speed", "10")
    assert terminal.finish() == 0
    terminal.assert_given_back()


@pytest.mark.parametrize("together", [True, False], ids=["together", "one after the other"])
def test_a_second_ctrl_c_gives_the_terminal_back_and_counts_what_is_missing(
    environment: dict[str, str], data: Path, tmp_path: Path, frozen_server: NatsServer, together: bool
) -> None:
    terminal = playing(environment, tmp_path, "--nats-url", frozen_server.url)
    assert frozen_server.process is not None
    frozen_server.process.send_signal(signal.SIGSTOP)
    terminal.wait_for(lambda text: "◌ waiting for NATS" in text)
    terminal.type(b"\x03\x03" if together else b"\x03")
    terminal.wait_for(lambda text: "■ finishing" in text or "left at once" in text)
    terminal.type(b"\x03")  # two that come together may be one to the system
    assert terminal.finish() == 130
    terminal.assert_given_back()
    assert re.search(r"! left at once: [1-9][\d,]* acks? still missing", terminal.text())


@pytest.mark.parametrize(
    "arguments",
    [["replay", "--speed", "0.5"], ["live", "--sim", "--sim-rate", "500"]],
    ids=["replay", "live"],
)
def test_a_frozen_server_is_shown_and_told_at_both_ends(
    environment: dict[str, str], data: Path, tmp_path: Path, frozen_server: NatsServer, arguments: list[str]
) -> None:
    terminal = start(environment, tmp_path, *arguments, "--nats-url", frozen_server.url)
    terminal.wait_for(lambda text: re.search(r"acked [1-9]", text) is not None)
    assert frozen_server.process is not None
    frozen_server.process.send_signal(signal.SIGSTOP)
    screen = terminal.wait_for(lambda text: "◌ waiting for NATS, 2 s" in text)
    if arguments[0] == "replay":
        assert re.search(r"behind [12]\.\d s \(NATS\)", screen)
    frozen_server.process.send_signal(signal.SIGCONT)
    terminal.wait_for(lambda text: "waiting for NATS" not in text)
    terminal.type(b"\x03")
    assert terminal.finish() == 130
    assert "! NATS stores nothing of what is in flight: waiting for it" in terminal.text()
    assert re.search(r"NATS is back after \d", terminal.text())


def test_a_display_that_fails_gives_the_terminal_back_and_the_run_goes_on(
    environment: dict[str, str], data: Path, tmp_path: Path
) -> None:
    program = """
import itertools
from spyctl.cli.app import main
from spyctl.replay.view import ReplayView

frames, draw = itertools.count(), ReplayView.draw
def fail_at_last(*arguments):
    return draw(*arguments) if next(frames) < 3 else 1 / 0
ReplayView.draw = fail_at_last
main()
"""
    terminal = Terminal([sys.executable, "-c", program, "replay", "--speed", "5"], environment, tmp_path)
    assert terminal.finish() == 0
    terminal.assert_given_back()
    assert "! the display failed (ZeroDivisionError: division by zero); plain lines follow" in terminal.text()
    assert "10,500 read = 10,500 published = 10,500 acked" in terminal.text()


def test_a_terminal_that_is_closed_ends_the_run_in_order(
    environment: dict[str, str], data: Path, tmp_path: Path, nats_server: NatsServer
) -> None:
    terminal = playing(environment, tmp_path, "--nats-url", nats_server.url)
    terminal.close()
    assert terminal.process.wait(30) == 143


def test_a_job_in_the_background_leaves_the_terminal_alone(
    environment: dict[str, str], data: Path, tmp_path: Path
) -> None:
    terminal = stopped_by_ctrl_z(environment, tmp_path)
    seen = len(terminal.raw)
    terminal.type(b"bg\nwait\n")
    terminal.wait_for(lambda text: "digest" in text)  # it goes on, and sums up in the end
    assert b"\x1b[?1049h" not in terminal.raw[seen:]
    terminal.type(b"exit\n")
    terminal.finish()
    terminal.assert_given_back()


def test_neither_a_pipe_nor_ci_nor_plain_gets_a_display(
    environment: dict[str, str], data: Path, tmp_path: Path
) -> None:
    for wrapped in (["env", "CI=true"], ["env", "TERM=dumb"], ["env", "SPYCTL_PLAIN=1"]):
        terminal = Terminal(
            [*wrapped, sys.executable, "-m", "spyctl", "replay", "--speed", "max"], environment, tmp_path
        )
        assert terminal.finish() == 0
        assert b"\x1b[?1049h" not in terminal.raw
