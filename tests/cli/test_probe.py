"""``spyctl probe`` as its users run it: each check, what it says, and what would help."""

import asyncio
import json
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
from tests.support.servers import NatsServer, unused_port
from tests.support.waiting import eventually

KEY = "not-a-real-key-9f3a"

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
        assert "MARKET_DATA will be created by the first run" in result.stdout
        assert lines[-1].startswith(" 10 pass   1 warn   0 fail   2 skipped")
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
