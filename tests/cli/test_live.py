"""``spyctl live`` and ``spyctl probe`` as their users run them."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from spyctl.massive.simulator import Peer, Script, Simulator
from tests.conftest import Cli
from tests.support.feeds import NoOptions
from tests.support.rest import BAD_KEY, NO_PLAN, serving
from tests.support.servers import NatsServer, stored_bytes, unused_port
from tests.support.simulation import LIVE_SUBJECTS, simulate
from tests.support.stream import read_stream, stored_by_subject
from tests.support.terminal import Terminal
from tests.support.waiting import eventually, eventually_sync

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
            "22 of 22 subscribed" in text
            and "received to acked" in text
            and re.search(r"option trades \d+ \d+/s", text) is not None
        )
    )
    assert "● streaming" in seen
    assert re.search(r"stocks   ● up \d", seen)
    assert re.search(r"window  \d+ to \d+, ±5 of \d+\.00", seen)
    assert re.search(r"► \d+ ◄", seen)
    rows = [line for line in seen.splitlines() if re.search(r"(\d|·) +[►+]? ?\d{3}( ◄)? +(\d|·)", line)]
    assert len(rows) >= 11
    assert "received to acked" in seen
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
        (("--sim", "--strike-range", "500"), "Input should be less than or equal to 100"),
        (("--sim", "--expiry", "2020-01-03"), "the options of 2020-01-03 have expired"),
        (("--sim", "--expiry", "2031-12-25"), "no options expire on Thursday 2031-12-25"),
        (("--sim", "--expiry", "tomorrow"), "'tomorrow' is not a date"),
        (("--sim", "--symbol", "../x"), "is no stock symbol"),
        (("--sim", "--feed-url", "ws://127.0.0.1:1"), "--sim and --feed-url exclude each other"),
        (("--feed-url", "http://127.0.0.1:1"), "names no server of its kind"),
        (("--feed-url", "wss://user:s3cret@127.0.0.1:1"), "--feed-url holds a user or password"),
        (("--rest-url", "https://user:s3cret@127.0.0.1:1"), "--rest-url holds a user or password"),
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


# --- probe

GOOD: dict[str, Any] = {
    "/v1/marketstatus/now": (200, {"market": "open", "serverTime": "2025-12-16T10:14:07-05:00"}),
    "/v2/last/trade/SPY": (200, {"results": {"p": 680.3}}),
    "/v2/last/nbbo/SPY": (200, {"results": {"p": 680.3}}),
    "/v3/reference/options/contracts": (200, {"results": [{"ticker": "O:SPY251216C00680000"}] * 3}),
    "/v3/trades/": (200, {"results": []}),
}


@asynccontextmanager
async def vendor(script: Script | None = None, **changes: Any) -> AsyncIterator[dict[str, str]]:
    """Serve REST and WebSocket; yields the environment that names them."""
    with serving(GOOD | {f"/{path.replace('__', '/')}": answer for path, answer in changes.items()}) as rest:
        async with Simulator(100, script=script).serving() as simulator:
            yield {"SPYCTL_REST_URL": rest.url, "SPYCTL_FEED_URL": simulator.url, "POLYGON_API_KEY": KEY}


def verdicts(document: dict[str, Any]) -> dict[str, str]:
    return {check["name"]: check["verdict"] for check in document["checks"]}


async def probe(cli: Cli, *arguments: str, **environment: str) -> tuple[int, dict[str, str], dict[str, Any]]:
    result = await asyncio.to_thread(cli, "probe", "--json", *arguments, **environment)
    assert KEY not in result.stdout + result.stderr
    document = json.loads(result.stdout)
    return result.returncode, verdicts(document), document


def remedy(document: dict[str, Any], name: str) -> str:
    return next(f"{check['text']} / {check['remedy']}" for check in document["checks"] if check["name"] == name)


async def test_probe_passes_every_check_where_all_is_well(cli: Cli, nats_server: NatsServer) -> None:
    async with vendor() as environment:
        result = await asyncio.to_thread(cli, "probe", "--nats-url", nats_server.url, **environment)
        assert result.returncode == 0, result.stdout
        lines = result.stdout.splitlines()
        names = [line[3:15].strip() for line in lines if line.startswith((" ✓", " !", " ✗"))]
        assert names == ["key", "clock", "market", "stocks", "options", "stocks ws", "options ws", "nats", "jetstream",
                         "stream", "data"]  # fmt: skip
        assert " ✓ key         POLYGON_API_KEY (…9f3a) accepted by 127.0.0.1" in result.stdout
        assert "trades; 3 SPY contracts expire" in result.stdout
        assert "authenticated; T.SPY, Q.SPY subscribed" in result.stdout
        assert "MARKET_DATA will be made by the first run" in result.stdout
        assert lines[-1].startswith(" 10 pass   1 warn   0 fail   1 skipped")
        assert "note: the ws checks cut off a spyctl live" in result.stderr
        assert KEY not in result.stdout + result.stderr


async def test_probe_fails_a_bad_key(cli: Cli, nats_server: NatsServer) -> None:
    async with vendor(v1__marketstatus__now=BAD_KEY) as environment:
        code, found, document = await probe(cli, "--nats-url", nats_server.url, **environment)
    assert code == 4
    assert found["key"] == "fail"
    assert {found[name] for name in ("market", "stocks", "options", "stocks ws", "options ws")} == {"skip"}
    assert {found[name] for name in ("clock", "nats", "jetstream", "stream")} == {"pass"}
    assert "refused: 401 Unknown API Key" in remedy(document, "key")


async def test_probe_fails_without_a_key(cli: Cli) -> None:
    code, found, _ = await probe(cli)
    assert (code, found["key"], found["stocks ws"], found["nats"]) == (4, "fail", "skip", "warn")


async def test_probe_fails_options_that_the_plan_does_not_include(cli: Cli) -> None:
    async with vendor(NoOptions(), v3__trades__=NO_PLAN) as environment:
        code, found, document = await probe(cli, **environment)
    assert code == 4
    assert [name for name, verdict in found.items() if verdict == "fail"] == ["options", "options ws"]
    assert "trades refused: 403 You are not entitled to this data" in remedy(document, "options")
    assert "doesn't include websocket access" in remedy(document, "options ws")


async def test_probe_fails_a_subscription_without_entitlement(cli: Cli) -> None:
    class NoQuotes(Script):
        async def subscribe(self, peer: Peer, topics: list[str]) -> None:
            await peer.status("error", "not authorized")
            await super().subscribe(peer, [topic for topic in topics if topic != "Q.SPY"])

    async with vendor(NoQuotes()) as environment:
        code, found, document = await probe(cli, **environment)
    assert (code, found["stocks ws"]) == (4, "fail")
    assert "Q.SPY not acknowledged: not authorized" in remedy(document, "stocks ws")


async def test_probe_fails_without_a_network(cli: Cli) -> None:
    nowhere = f"127.0.0.1:{unused_port()}"
    code, found, document = await probe(
        cli, POLYGON_API_KEY=KEY, SPYCTL_REST_URL=f"http://{nowhere}", SPYCTL_FEED_URL=f"ws://{nowhere}"
    )
    assert (code, found["key"], found["market"]) == (1, "fail", "skip")
    assert f"{nowhere} cannot be reached" in remedy(document, "key")
    assert f"{nowhere} refuses the connection" in remedy(document, "stocks ws")


async def test_probe_checks_the_sockets_though_rest_is_unreachable(cli: Cli) -> None:
    async with vendor() as environment:
        environment["SPYCTL_REST_URL"] = f"http://127.0.0.1:{unused_port()}"
        code, found, _ = await probe(cli, **environment)
    assert (code, found["key"], found["stocks ws"], found["options ws"]) == (1, "fail", "pass", "pass")


async def test_probe_fails_a_plan_without_rest_but_checks_its_sockets(cli: Cli) -> None:
    async with vendor(v1__marketstatus__now=NO_PLAN) as environment:
        code, found, document = await probe(cli, **environment)
    assert (code, found["key"], found["stocks ws"]) == (4, "fail", "pass")
    assert "a plan that includes it" in remedy(document, "key")


@pytest.mark.parametrize("body", [b"<html>please log in</html>", b"[1]", b"{}"])
async def test_probe_does_not_take_another_server_for_the_vendor(cli: Cli, body: bytes) -> None:
    async with vendor(v1__marketstatus__now=(200, body)) as environment:
        code, found, document = await probe(cli, "--rest-only", **environment)
    assert (code, found["key"], found["stocks"]) == (1, "fail", "skip")
    assert "is not the vendor's API" in remedy(document, "key")
    async with vendor(v2__last__trade__SPY=(200, body)) as environment:
        code, found, document = await probe(cli, "--rest-only", **environment)
    assert (code, found["key"], found["stocks"]) == (1, "pass", "fail")
    assert "makes no sense" in remedy(document, "stocks")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("authentication failed", "copy it again"),
        ("Your plan doesn't include websocket access.", "a plan that includes it"),
    ],
)
async def test_probe_fails_a_key_that_the_socket_refuses(cli: Cli, words: str, said: str) -> None:
    class Refusing(Script):
        async def authenticate(self, peer: Peer, key: str) -> bool:
            await peer.status("auth_failed", words)
            return False

    async with vendor(Refusing()) as environment:
        code, found, document = await probe(cli, **environment)
    assert (code, found["stocks ws"]) == (4, "fail")
    assert words in remedy(document, "stocks ws")
    assert said in remedy(document, "stocks ws")


async def test_probe_fails_a_key_that_another_process_uses(cli: Cli) -> None:
    class Full(Script):
        async def subscribe(self, peer: Peer, topics: list[str]) -> None:
            await peer.status("max_connections", "Maximum number of websocket connections exceeded. ")
            await peer.socket.close(1008, "")

    async with vendor(Full()) as environment:
        code, found, document = await probe(cli, **environment)
    assert (code, found["stocks ws"]) == (4, "fail")
    assert "another process uses this key: Maximum number" in remedy(document, "stocks ws")


async def test_probe_recognises_a_key_for_the_delayed_feed(cli: Cli) -> None:
    class Delayed(Script):
        async def subscribe(self, peer: Peer, topics: list[str]) -> None:
            await peer.status("error", "You don't have access real-time data. Use wss://delayed.massive.com")

    async with vendor(Delayed()) as environment:
        code, _, document = await probe(cli, **environment)
    assert code == 4
    assert "spyctl probe --delayed" in remedy(document, "stocks ws")


async def test_probe_warns_of_a_rate_limit(cli: Cli) -> None:
    async with vendor(v1__marketstatus__now=(429, b"")) as environment:
        code, found, _ = await probe(cli, **environment)
    assert (code, found["key"], found["stocks"], found["stocks ws"]) == (0, "warn", "skip", "pass")


async def test_probe_fails_a_nats_server_that_is_down(cli: Cli) -> None:
    async with vendor() as environment:
        code, found, document = await probe(
            cli, "--rest-only", **environment, NATS_URL=f"nats://127.0.0.1:{unused_port()}"
        )
    assert code == 5
    assert (found["nats"], found["jetstream"], found["stream"]) == ("fail", "skip", "skip")
    assert (found["key"], found["stocks ws"]) == ("pass", "skip")
    assert "no NATS server answers on nats://127.0.0.1" in remedy(document, "nats")
    assert "(NATS_URL) / start it, or leave out NATS_URL" in remedy(document, "nats")


async def test_probe_fails_a_stream_that_does_not_fit(cli: Cli, nats_server: NatsServer) -> None:
    from spyctl.bus.connection import connect
    from spyctl.bus.stream import desired_config

    connection = await connect([nats_server.url])
    await connection.api("STREAM.CREATE.MARKET_DATA", desired_config() | {"storage": "memory"})
    await connection.close()
    async with vendor() as environment:
        code, found, document = await probe(cli, "--rest-only", "--nats-url", nats_server.url, **environment)
    assert (code, found["stream"]) == (5, "fail")
    assert "keeps messages in memory" in remedy(document, "stream")


@pytest.mark.parametrize("prefix", [[], ["--prefix", "REH"]], ids=["", "prefix"])
async def test_probe_leaves_a_live_run_on_the_same_key_alone(
    cli: Cli, nats_server: NatsServer, environment: dict[str, str], tmp_path: Path, prefix: list[str]
) -> None:
    async with vendor() as names:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "spyctl", "live", "-q", "--nats-url", nats_server.url, *prefix,
            env=environment | names, cwd=tmp_path, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        await eventually(lambda: (nats_server.folder / "jetstream" / "$G" / "streams" / "KV_SPYCTL").exists())
        deadline = time.monotonic() + 15
        while True:
            _, found, document = await probe(cli, "--nats-url", nats_server.url, **names)
            if found["stocks ws"] == "skip" or time.monotonic() > deadline:
                break
        assert "uses this key, and would be cut off" in remedy(document, "stocks ws")
        _, found, _ = await probe(cli, "--nats-url", nats_server.url, **names | {"POLYGON_API_KEY": "another-key-1"})
        assert found["stocks ws"] == "pass"  # another key has connections of its own
        _, found, _ = await probe(cli, "--force", "--nats-url", nats_server.url, **names)
        assert found["stocks ws"] == "pass"
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130


def test_importing_the_cli_brings_no_vendor_library() -> None:
    code = (
        "import sys, spyctl.cli.app; print([m for m in ('polygon','massive','websockets','nats') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True)
    assert result.stdout.strip() == "[]"


def test_silence_is_suspicious_in_the_session_of_spy_alone() -> None:
    from types import SimpleNamespace

    from spyctl.cli.live_run import SimulatedMarket, _silence_is_suspicious

    noon = 1_765_904_400 * 10**9  # Tue 2025-12-16 12:00 New York
    night = noon + 12 * 3_600 * 10**9

    def suspicious(underlying: str, sim: SimulatedMarket | None = None) -> list[bool]:
        request = SimpleNamespace(sim=sim, manager=SimpleNamespace(underlying=underlying))
        return [_silence_is_suspicious(request)(ns) for ns in (noon, night)]  # type: ignore[arg-type]

    assert suspicious("SPY") == [True, False]
    assert suspicious("ABCD") == [False, False]
    assert suspicious("SPY", SimulatedMarket(200, 7, 0.0)) == [True, True]
    assert suspicious("SPY", SimulatedMarket(1, 7, 0.0)) == [False, False]
