"""What a person sees of the dashboards, in terminals of several sizes."""

import re
import sys
from datetime import date
from pathlib import Path

import pytest

from spyctl.bus.connection import connect
from spyctl.bus.consumers import Consumer, Consumers
from spyctl.bus.stream import ensure_stream
from tests.support.pictures import SIZES, draw_replay
from tests.support.records import MS, T0, book, trade, write_file
from tests.support.servers import NatsServer
from tests.support.terminal import Terminal

pytestmark = pytest.mark.integration
BOTH = [(80, 24), (140, 40), (60, 20), (200, 50)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "dbn-data"
    write_file(root, "trades", [trade(T0 + i * 20 * MS) for i in range(1_500)])
    write_file(root, "mbp-10", [book(T0 + i * MS) for i in range(30_000)], compressed=True)
    return root


def start(environment: dict[str, str], tmp_path: Path, *arguments: str, size: tuple[int, int] = (80, 24)) -> Terminal:
    return Terminal([sys.executable, "-m", "spyctl", *arguments], environment, tmp_path, *size)


def fits(terminal: Terminal) -> list[str]:
    """Check that a frame fills the screen as it should: title first, footer last, no line broken in two."""
    lines = [line.rstrip() for line in terminal.screen.display]
    assert lines[0].startswith(" spyctl ")
    footer = next(line for line in reversed(lines) if line)
    assert "Ctrl-C ends" in footer or footer.startswith(" space pause   ")
    for line in lines:
        assert line.count("╭") == line.count("╮")
        assert not line.startswith("│") or line.endswith(("│", "╯", "╮"))
    return lines


@pytest.mark.parametrize("size", BOTH, ids=str)
def test_a_replay_fits_every_terminal(
    environment: dict[str, str], data: Path, tmp_path: Path, size: tuple[int, int]
) -> None:
    terminal = start(environment, tmp_path, "replay", "--speed", "2", size=size)
    screen = terminal.wait_for(lambda text: "spread 0" in text and re.search(r"last [\d,.]+ × \d+", text) is not None)
    lines = fits(terminal)
    assert re.search(r"futures\.mbp10 +[\d,]+ +[\d,]+ +[\d,]+", screen)
    assert re.search(r"ES +last [\d,.]+ × \d+", screen)
    assert re.search(r"spread \d", screen)
    if size[0] >= 140:
        assert any("╭─ where we are" in line for line in lines)
        assert "╭─ consumers" in screen
        assert re.search(r"memory \d", screen)
        assert "in 10 bids" in screen
        assert sum("█" in line for line in lines) > 5
    terminal.type(b"\x03")
    assert terminal.finish() == 130


@pytest.mark.parametrize("size", BOTH, ids=str)
def test_the_live_side_fits_every_terminal(environment: dict[str, str], tmp_path: Path, size: tuple[int, int]) -> None:
    terminal = start(environment, tmp_path, "live", "--sim", "--sim-rate", "1000", size=size)
    screen = terminal.wait_for(lambda text: re.search(r"► \d{3} ◄ +[\d.]+", text) is not None)
    fits(terminal)
    assert "● streaming" in screen
    assert re.search(r"window  \d+ to \d+, ±5 of", screen)
    terminal.type(b"\x03")
    assert terminal.finish() == 130


def test_a_replay_follows_the_window_when_that_changes(environment: dict[str, str], data: Path, tmp_path: Path) -> None:
    terminal = start(environment, tmp_path, "replay", "--speed", "1")
    terminal.wait_for(lambda text: "achieved" in text)
    terminal.resize(140, 40)
    terminal.wait_for(lambda text: "╭─ delivery" in text)
    fits(terminal)
    terminal.resize(80, 24)
    terminal.wait_for(lambda text: "╭" not in text and "in flight" in text)
    fits(terminal)
    terminal.type(b"\x03")
    assert terminal.finish() == 130


async def test_consumers_are_told_with_how_far_they_are_behind(nats_server: NatsServer) -> None:
    connection = await connect([nats_server.url])
    stream = await ensure_stream(connection)
    jetstream = connection.jetstream()
    for i in range(10):
        await jetstream.publish("market.gaps", b"%d" % i)
    slow = await jetstream.pull_subscribe("market.gaps", durable="lake")
    await slow.fetch(3)
    await jetstream.add_consumer(stream.name, durable_name="core", deliver_policy="new")
    found = await Consumers(connection, stream.name).look()
    await connection.close()
    assert found == (Consumer("lake", 7, found[0].behind_s, 3), Consumer("core", 0, None, 0))
    assert found[0].behind_s is not None
    assert 0 <= found[0].behind_s < 10


async def test_the_pictures_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tests.support.pictures as pictures

    root = pictures.ROOT
    (tmp_path / "docs").mkdir()
    (tmp_path / "dbn-data").symlink_to(root / "dbn-data")
    monkeypatch.setattr(pictures, "ROOT", tmp_path)
    await draw_replay()
    for suffix in SIZES:
        made = (tmp_path / "docs" / f"replay{suffix}.svg").read_text()
        assert str(date(2025, 12, 16)) in made
        assert (root / "docs" / f"replay{suffix}.svg").read_text().startswith("<svg")
