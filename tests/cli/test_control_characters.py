"""An escape sequence planted in whatever comes from outside does not reach the terminal."""

import asyncio
import json
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import nats
import pytest

from spyctl.bus.connection import connect
from spyctl.bus.runs import BUCKET
from spyctl.massive.simulator import Peer, Script, Simulator
from tests.conftest import Cli
from tests.support.greeting import greeting
from tests.support.records import ES, MS, T0, trade, write_file
from tests.support.rest import serving
from tests.support.servers import NatsServer
from tests.support.terminal import Terminal

pytestmark = pytest.mark.integration

PLANT = "\x1b[31m\x1b]0;title\x07\x9b2J\r\b"
COLOUR = {"FORCE_COLOR": "1", "COLUMNS": "200"}


def check(text: str, *, shown: bool = True) -> None:
    """Ours is what colours a whole word; nothing planted is left."""
    for sequence in ("\x1b[31m\x1b", "\x1b]", "\x07", "\x9b", "\r", "\b"):
        assert sequence not in text, text
    assert not shown or "␛" in text, text


def good_file(root: Path, **values: Any) -> Path:
    symbol = "ES\x1b[31m\x1b]0;t\x07\r"  # ASCII, and short
    mappings = {symbol: [(date(2025, 9, 20), date(2025, 12, 20), str(ES))]}
    fields = {"symbols": [symbol], "mappings": mappings, "stype_in": "raw_symbol"} | values
    return write_file(root, "trades", [trade(T0 + i * MS) for i in range(5)], **fields)


def test_symbols_of_a_header(cli: Cli, tmp_path: Path) -> None:
    good_file(tmp_path / "dbn-data")
    check(cli("discover", "-v", **COLOUR).stdout)
    for arguments in (("discover", "-v", "--json"), ("replay", "--symbol", "NQZ5", "--dry-run")):
        result = cli(*arguments, **COLOUR)
        check(result.stdout + result.stderr, shown=False)
    check(cli("replay", "--symbol", f"NQ{PLANT}", "--dry-run", **COLOUR).stderr)


def test_names_of_files_and_folders(cli: Cli, tmp_path: Path) -> None:
    root = tmp_path / f"data{PLANT}"
    good_file(root)
    (root / "trades" / f"more{PLANT}.dbn").write_bytes(b"nothing of the kind")
    (root / "trades" / "odd\nname.dbn").write_bytes(b"nothing of the kind")
    for arguments in (("discover",), ("replay", "--dry-run"), ("discover", "--check")):
        result = cli(*arguments, "--data-dir", str(root), **COLOUR)
        check(result.stdout + result.stderr)
        assert "\nname" not in result.stdout + result.stderr
    check(cli("replay", "--data-dir", str(tmp_path / PLANT), **COLOUR).stderr)


def test_job_files(cli: Cli, tmp_path: Path) -> None:
    root = tmp_path / "dbn-data"
    good_file(root)
    days = [{"date": "2025-12-16", "condition": f"degraded{PLANT}"}]
    (root / "condition.json").write_text(json.dumps(days))
    (root / "manifest.json").write_text(json.dumps({"files": [{"filename": f"a{PLANT}.dbn", "size": 1, "hash": "x"}]}))
    for arguments in (("discover",), ("replay", "--dry-run")):
        result = cli(*arguments, **COLOUR)
        check(result.stdout + result.stderr, shown=arguments == ("discover",))


def test_settings(cli: Cli, tmp_path: Path) -> None:
    planted = PLANT.encode("unicode_escape").decode().replace("\\x", "\\u00")
    text = f'"bad{planted}" = 1\n["com{planted}"]\nx = 1\n[replay]\nprefix = "p{planted}"\ntz = "z{planted}"\n'
    (tmp_path / "spyctl.toml").write_text(text)
    for arguments in (("config", "show"), ("replay",)):
        result = cli(*arguments, **COLOUR)
        check(result.stdout + result.stderr)


@pytest.mark.parametrize(
    ("info", "then"),
    [
        ({"version": f"2.14.0{PLANT}"}, b"PONG\r\n"),
        ({"max_payload": 1}, b"PONG\r\n"),
        ({}, f"-ERR 'no entry {PLANT}'\r\n".replace("\r'", "'").encode()),
    ],
    ids=["version", "max_payload", "error"],
)
def test_what_a_nats_server_says_of_itself(cli: Cli, info: dict[str, Any], then: bytes) -> None:
    with greeting(info, then) as url:
        for arguments in (("probe", "--rest-only"), ("tail", "--until-end", "--debug")):
            result = cli(*arguments, NATS_URL=url, **COLOUR)
            check(result.stdout + result.stderr, shown=False)


async def test_the_host_of_a_lease(cli: Cli, nats_server: NatsServer, tmp_path: Path) -> None:
    good_file(tmp_path / "dbn-data")
    assert (await asyncio.to_thread(cli, "replay", "--speed", "max", NATS_URL=nats_server.url)).returncode == 0
    connection = await connect([nats_server.url])
    bucket = await connection.jetstream().key_value(BUCKET)
    planted = {"host": f"host{PLANT}", "run_id": f"run{PLANT}", "token": "x", "renewed_ns": time.time_ns()}
    key = "lease.market.futures.trades"
    document = json.loads((await bucket.get(key)).value or b"{}")
    await bucket.put(key, json.dumps(document | planted).encode())
    await connection.close()
    result = await asyncio.to_thread(cli, "replay", "--speed", "max", NATS_URL=nats_server.url, **COLOUR)
    assert "has been publishing" in result.stderr
    check(result.stdout + result.stderr)


class Planting(Script):
    """A vendor whose every word is hostile."""

    async def authenticate(self, peer: Peer, key: str) -> bool:
        await peer.status("auth_success", f"authenticated{PLANT}")
        await peer.status(f"odd{PLANT}", f"words{PLANT}")
        await peer.say({"ev": f"T{PLANT}", "sym": PLANT}, {"ev": "T", "sym": PLANT, "t": PLANT})
        await peer.status("auth_failed" if peer.market == "options" else "max_connections", f"no{PLANT}")
        return True


async def test_what_the_vendor_says(environment: dict[str, str], tmp_path: Path, nats_server: NatsServer) -> None:
    refusal = {"/": (403, {"message": f"not yours{PLANT}"})}
    with serving(refusal) as rest:
        async with Simulator(0, script=Planting()).serving() as simulator:
            env = environment | {
                "POLYGON_API_KEY": "a-good-key", "SPYCTL_FEED_URL": simulator.url, "SPYCTL_REST_URL": rest.url,
                "NATS_URL": nats_server.url,
            }  # fmt: skip
            for arguments in (("live", "--for", "1s"), ("probe",)):
                terminal = Terminal([sys.executable, "-m", "spyctl", *arguments], env, tmp_path)
                await asyncio.to_thread(terminal.finish)
                raw = terminal.raw.decode()
                for sequence in ("\x1b]", "\x07", "\x9b", "\b", "\x1b[31m\x1b"):
                    assert sequence not in raw, raw
                assert "␛" in raw


async def test_messages_of_others_on_the_stream(cli: Cli, nats_server: NatsServer, tmp_path: Path) -> None:
    good_file(tmp_path / "dbn-data")
    await asyncio.to_thread(cli, "replay", "--speed", "max", NATS_URL=nats_server.url)
    client = await nats.connect(nats_server.url)
    trades = b'{"ts_event_ns":%d,"ts_recv_ns":%d,"source":"sim","symbol":"A%b","price":1.0,"size":1,"exchange":1,'
    planted = json.dumps(PLANT)[1:-1].encode()
    ending = b'"conditions":null,"seq":null}'
    for payload in (trades % (T0, T0, planted) + ending, PLANT.encode(), b'{"%b":1}' % planted, b"{\x1b[2J}"):
        await client.jetstream().publish("market.stocks.trades", payload)
    await client.jetstream().publish(f"market.odd{PLANT}".replace("\r", ""), b"{}")
    await client.close()
    for arguments in (("--text",), ("--stats",), ("--stats", "--json")):
        result = await asyncio.to_thread(cli, "tail", "--until-end", *arguments, NATS_URL=nats_server.url, **COLOUR)
        check(result.stdout + result.stderr, shown="--text" in arguments)
