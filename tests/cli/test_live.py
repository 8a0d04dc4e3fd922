"""``spyctl live`` as its users run it."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spyctl.cli.feed_options import stock_symbols
from spyctl.cli.live import expiries
from spyctl.errors import UsageError
from spyctl.massive.simulator import Peer, Script, Simulator
from tests.conftest import Cli
from tests.support.servers import NatsServer, stored_bytes
from tests.support.simulation import LIVE_SUBJECTS, simulate
from tests.support.stream import read_stream, stored_by_subject
from tests.support.terminal import Terminal
from tests.support.waiting import eventually_sync

pytestmark = pytest.mark.integration
KEY = "not-a-real-key-9f3a"


def live(cli: Cli, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return cli("live", *arguments, **environment)


# --- live --sim


def test_the_simulator_needs_no_key_and_no_server(cli: Cli) -> None:
    result = live(cli, "--sim", "--sim-rate", "500", "--for", "2s")
    assert result.returncode == 0, result.stderr
    assert "starting nats-server" in result.stderr
    assert re.search(r"^events   [\d,]+ received = [\d,]+ published; all acked$", result.stdout, re.M)
    assert re.search(r"^stream   MARKET_DATA, seq 1 to [\d,]+$", result.stdout, re.M)


def test_a_simulated_cut_shows_a_gap_without_a_key(
    environment: dict[str, str], tmp_path: Path, nats_server: NatsServer
) -> None:
    options = ("--sim-cut", "1s", "--sim-rate", "500")
    found = simulate(
        environment, tmp_path, nats_server.url, *options, until=lambda counts: counts.get("market.gaps", 0) >= 2
    )
    assert found["gaps"] >= 1


@pytest.mark.parametrize("option", ["--sim-rate", "--sim-seed", "--sim-trend", "--sim-cut"])
def test_options_of_the_simulator_are_refused_without_it(cli: Cli, option: str) -> None:
    result = live(cli, option, "5", POLYGON_API_KEY=KEY)
    assert (result.returncode, f"try: spyctl live --sim {option}" in result.stderr) == (2, True)


def test_cuts_leave_time_to_connect(cli: Cli) -> None:
    result = live(cli, "--sim", "--sim-cut", "10ms")
    assert (result.returncode, "leaves no time to connect" in result.stderr) == (2, True)


async def test_the_summary_as_json_agrees_with_the_stream(cli: Cli, nats_server: NatsServer) -> None:
    arguments = ("--sim", "--for", "1s", "--json", "--nats-url", nats_server.url, "--strike-range", "3")
    result = await asyncio.to_thread(live, cli, *arguments)
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    found = await read_stream(nats_server.url)
    assert summary["received"] == summary["published"] == summary["acked"] == len(found) > 0
    assert (summary["stopped_by"], summary["complete"], summary["strike_range"]) == ("--for", True, 3)
    assert sum(summary["by_subject"].values()) == summary["published"]


def test_a_prefix_publishes_into_a_stream_of_its_own(
    environment: dict[str, str], tmp_path: Path, nats_server: NatsServer
) -> None:
    subjects = {f"TEST.{subject}" for subject in LIVE_SUBJECTS}
    simulate(
        environment, tmp_path, nats_server.url, "--prefix", "TEST", "--sim-rate", "500",
        until=lambda counts: counts.keys() == subjects, stream="TEST_MARKET_DATA",
    )  # fmt: skip
    assert asyncio.run(stored_by_subject(nats_server.url)) == {}


def test_simulated_events_do_not_mix_with_others_on_a_named_server(
    cli: Cli, nats_server: NatsServer, tmp_path: Path
) -> None:
    assert cli("sample", "--length", "5s").returncode == 0
    assert cli("replay", "--speed", "max", "-q", "--nats-url", nats_server.url).returncode == 0
    result = live(cli, "--sim", "--for", "1s", "--nats-url", nats_server.url)
    assert result.returncode == 5
    assert "received events of direct_feed within the last minute" in result.stderr
    assert live(cli, "--sim", "--for", "1s", "--nats-url", nats_server.url, "--force").returncode == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_prints_the_summary(
    environment: dict[str, str], tmp_path: Path, number: int, code: int
) -> None:
    command = [sys.executable, "-m", "spyctl", "live", "--sim", "--json"]
    with subprocess.Popen(
        command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        while "live " not in process.stderr.readline():
            assert process.poll() is None
        eventually_sync(lambda: stored_bytes(tmp_path / "store") > 0)
        process.send_signal(number)
        out, said = process.communicate(timeout=30)
    assert process.returncode == code, said
    assert "stopping: " in said
    assert json.loads(out)["acked"] > 0


def test_a_second_live_run_is_refused(cli: Cli, environment: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "spyctl", "live", "--sim"]
    with subprocess.Popen(
        command, env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as first:
        assert first.stderr is not None
        while "live " not in first.stderr.readline():
            assert first.poll() is None
        result = live(cli, "--sim", "--for", "1s")
        first.send_signal(signal.SIGINT)
        first.stderr.read()
    assert result.returncode == 5
    assert re.search(r"error: run \w{4} .* has been publishing to market\.stocks\.trades", result.stderr)


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (140, 40)])
def test_the_display_shows_feeds_spot_and_window(
    environment: dict[str, str], tmp_path: Path, columns: int, lines: int
) -> None:
    command = [sys.executable, "-m", "spyctl", "live", "--sim", "--sim-rate", "1000"]
    terminal = Terminal(command, environment, tmp_path, columns, lines)
    seen = terminal.wait_for(
        lambda text: (
            "44 of 44 subscribed" in text
            and "sides " in text
            and "ack now" in text
            and re.search(r"option trades \d+ \d+/s", text) is not None
        )
    )
    assert "● streaming" in seen
    assert re.search(r"stocks   ● up \d", seen)
    assert re.search(r"window  \d+ to \d+, ±5 of \d+\.00", seen)
    assert re.search(r"► \d+ ◄", seen)
    rows = [line for line in seen.splitlines() if re.search(r"(\d|·) +[►+]? ?\d{3}( ◄)? +(\d|·)", line)]
    assert len(rows) >= 11
    assert re.search(r"arrival now \d.* ack now \d", seen)
    assert all(len(line) <= columns for line in seen.splitlines())
    terminal.type(b"\x03")
    assert terminal.finish() == 130
    assert "ended by Ctrl-C" in terminal.text()


# --- keys and wrong options


def test_live_without_a_key_says_how_to_get_on(cli: Cli) -> None:
    result = live(cli)
    assert result.returncode == 4
    assert result.stderr == (
        "error: no API key: POLYGON_API_KEY and MASSIVE_API_KEY are not set\n"
        "  try: export POLYGON_API_KEY=…, or spyctl live --sim, which needs none\n"
    )
    assert live(cli, POLYGON_API_KEY="  ").returncode == 4


def test_the_real_feed_starts_the_embedded_server_only_on_request(cli: Cli) -> None:
    result = live(cli, POLYGON_API_KEY=KEY)
    assert result.returncode == 5
    assert "--embedded" in result.stderr
    assert KEY not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--sim", "--strike-range", "500"), "--strike-range: 500 is more than 100"),
        (("--sim", "--expiry", "2020-01-03"), "the options of 2020-01-03 have expired"),
        (("--sim", "--expiry", "2031-12-25"), "no options expire on Thursday 2031-12-25"),
        (("--sim", "--expiry", "tomorrow"), "'tomorrow' is not a date"),
        (("--sim", "--symbol", "../x"), "is not a stock symbol"),
        (("--sim", "--feed-url", "ws://127.0.0.1:1"), "--sim and --feed-url exclude each other"),
        (("--feed-url", "http://127.0.0.1:1"), "does not name a server"),
        (("--feed-url", "wss://user:s3cret@127.0.0.1:1"), "--feed-url holds a user or password"),
        (("--rest-url", "https://user:s3cret@127.0.0.1:1"), "--rest-url holds a user or password"),
        (("--sim", "--spool-limit", "lots"), "'lots' is not a size"),
        (("--sim", "--for", "soon"), "'soon' is not a duration"),
        (("--sim", "--sim-rate", "inf"), "--sim-rate"),
        (("--sim", "--sim-trend", "nan"), "--sim-trend"),
    ],
)
def test_a_wrong_option_gets_one_sentence(cli: Cli, arguments: tuple[str, ...], said: str) -> None:
    result = live(cli, *arguments, POLYGON_API_KEY=KEY)
    assert result.returncode == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 2
    assert "s3cret" not in result.stderr


class Refusing(Script):
    async def authenticate(self, peer: Peer, key: str) -> bool:
        await peer.status("auth_failed", "authentication failed")
        peer.abort()
        return False


async def test_a_refused_key_exits_with_4_and_is_never_shown(cli: Cli, nats_server: NatsServer) -> None:
    async with Simulator(0, script=Refusing()).serving() as simulator:
        result = await asyncio.to_thread(
            live, cli, "--feed-url", simulator.url, "--nats-url", nats_server.url, POLYGON_API_KEY=KEY
        )
    assert result.returncode == 4
    assert "error: the stocks feed refuses the key: authentication failed" in result.stderr
    assert KEY not in result.stdout + result.stderr


def test_more_contracts_than_a_connection_has_quotes_are_refused_with_their_number(cli: Cli) -> None:
    asked = ("--sim", "--strike-range", "100", "--symbol", "SPY,QQQ,IWM")
    result = live(cli, *asked)
    assert result.returncode == 2
    assert "makes 1,206 contracts; a connection has quotes of 1,000 at most" in result.stderr


@pytest.mark.parametrize("symbol", ["BRK.B", "SPY", "qqq"])
def test_share_classes_are_stocks_too(symbol: str) -> None:
    assert stock_symbols([symbol, symbol.lower()]) == [symbol.upper()]


@pytest.mark.parametrize("symbol", ["BRK.", ".B", "A.B.C", "SPY1", "I:SPX", "TOOLONG"])
def test_what_is_no_stock_is_refused(symbol: str) -> None:
    with pytest.raises(UsageError, match="is not a stock symbol"):
        stock_symbols([symbol])


def test_expiries_are_words_or_days_each_once() -> None:
    assert expiries("0dte,next, 0DTE") == [0, 1]
    with pytest.raises(UsageError):
        expiries("0dte,someday")
