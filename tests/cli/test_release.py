"""What a maintainer checks before a release, with the program as its users run it.

Each check is one promise of the README: live publishes, a replay is in order and on time, fields are normalized,
the window follows the spot, a time filter filters, and a NATS restart loses nothing.
"""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, Cli
from tests.support.pace import assert_speed_kept
from tests.support.servers import NatsServer, stored_bytes
from tests.support.simulation import LIVE_SUBJECTS, simulate
from tests.support.waiting import eventually_sync

pytestmark = pytest.mark.integration
OPEN_NS = 1_765_895_400_000_000_000  # 2025-12-16 09:30 New York


@pytest.fixture(autouse=True)
def sample(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "dbn-data", tmp_path / "dbn-data")


def summary(cli: Cli, *arguments: str, code: int = 0) -> dict[str, Any]:
    result = cli(*arguments, "--json")
    assert result.returncode == code, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def stored(cli: Cli, url: str, *arguments: str, place: str = "start") -> list[dict[str, Any]]:
    result = cli("tail", "--nats-url", url, "--from", place, "--until-end", "--json", *arguments)
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def enough(counts: dict[str, int]) -> bool:
    return counts.keys() >= LIVE_SUBJECTS and sum(counts.values()) > 1_000


def test_live_publishes_what_it_receives(
    cli: Cli, environment: dict[str, str], tmp_path: Path, nats_server: NatsServer
) -> None:
    found = simulate(environment, tmp_path, nats_server.url, "--sim-rate", "2000", until=enough)
    assert found["received"] == found["published"] + found["rejected"] + found["duplicates"] + found["dropped"]
    assert found["published"] == found["acked"] > 1_000
    assert (found["rejected"], found["dropped"], found["gaps"]) == (0, 0, 0)
    lines = stored(cli, nats_server.url)
    assert len(lines) == found["published"]
    assert {line["subject"] for line in lines} == LIVE_SUBJECTS
    assert {line["event"]["source"] for line in lines} == {"sim"}


def test_a_replay_is_in_order_complete_and_the_same_each_time(cli: Cli, nats_server: NatsServer) -> None:
    twice = [summary(cli, "replay", "--speed", "max", "--verify", "--nats-url", nats_server.url) for _ in range(2)]
    for found in twice:
        assert found["read"] == found["published"] == found["acked"] == found["stored"] == 62_042
        assert (found["differing"], found["late"], found["reordered"], found["complete"]) == (0, 0, 0, True)
    assert twice[0]["digest"] == twice[1]["digest"]
    times = [line["event"]["ts_event_ns"] for line in stored(cli, nats_server.url)[: twice[0]["published"]]]
    assert times == sorted(times)


@pytest.mark.parametrize("speed", [1, 10, 100])
def test_a_replay_keeps_its_speed(cli: Cli, nats_server: NatsServer, speed: int) -> None:
    arguments = ("replay", "--speed", str(speed), "--end", f"open{3 * speed - 300:+d}s", "--nats-url", nats_server.url)
    begun = time.monotonic()
    found = summary(cli, *arguments)
    assert time.monotonic() - begun > found["event_s"] / speed > 2.5
    assert_speed_kept(found)


def test_events_of_both_sides_have_the_fields_that_are_promised(
    cli: Cli, environment: dict[str, str], tmp_path: Path, nats_server: NatsServer
) -> None:
    from spyctl.market.subjects import KINDS

    summary(cli, "replay", "--speed", "max", "--count", "500", "--nats-url", nats_server.url)
    simulate(environment, tmp_path, nats_server.url, "--sim-rate", "2000", "--force", until=enough)
    seen = set()
    for line in stored(cli, nats_server.url):
        kind = next(kind for kind in KINDS if kind.subject == line["subject"])
        assert list(line["event"]) == list(kind.event_type.__dataclass_fields__)
        seen.add(kind.event_type.__name__)
        event = line["event"]
        assert event["ts_event_ns"] <= event["ts_recv_ns"] + 2_000_000_000
        if "price" in event:
            assert event["price"] > 0
    assert seen == {"FuturesTrade", "MBP10", "StockTrade", "StockQuote", "OptionTrade"}


def test_the_window_follows_the_spot(
    cli: Cli, environment: dict[str, str], tmp_path: Path, nats_server: NatsServer
) -> None:
    arguments = ("--sim-rate", "1000", "--sim-trend", "60", "--strike-range", "1", "--nats-url", nats_server.url)
    process = subprocess.Popen(
        [sys.executable, "-m", "spyctl", "live", "--sim", *arguments], env=environment, cwd=tmp_path,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:

        def has_moved() -> bool:
            result = cli("tail", "options", "--nats-url", nats_server.url, "--from", "start", "--until-end", "--raw")
            return len({json.loads(line)["strike"] for line in result.stdout.splitlines()}) >= 4  # a window holds three

        eventually_sync(has_moved, 100)
    finally:
        process.terminate()
        process.wait()
    spots, strikes = [], set()
    for line in stored(cli, nats_server.url):
        event = line["event"]
        if line["subject"] == "market.stocks.quotes":
            spots.append((event["bid_px"] + event["ask_px"]) / 2)
        elif line["subject"] == "market.options.trades" and spots:
            strikes.add(event["strike"])
            # A dollar on either side of a centre that is at most a dollar from a spot that was seen.
            assert min(spots) - 2 <= event["strike"] <= max(spots) + 2
    assert max(spots) - min(spots) >= 0.5
    assert len(strikes) >= 4


def test_a_time_filter_is_half_open(cli: Cli, nats_server: NatsServer) -> None:
    arguments = ("replay", "--speed", "max", "--start", "open", "--end", "open+10s", "--nats-url", nats_server.url)
    found = summary(cli, *arguments)
    times = [line["event"]["ts_event_ns"] for line in stored(cli, nats_server.url)]
    assert len(times) == found["published"] > 1_000
    assert min(times) >= OPEN_NS
    assert max(times) < OPEN_NS + 10_000_000_000
    inner = stored(cli, nats_server.url, "--start", str(OPEN_NS + 10**9), "--end", str(OPEN_NS + 2 * 10**9))
    assert [line["event"]["ts_event_ns"] // 10**9 for line in inner] == [OPEN_NS // 10**9 + 1] * len(inner)
    assert inner


def test_a_restart_of_nats_loses_and_duplicates_nothing(
    cli: Cli, environment: dict[str, str], tmp_path: Path, nats_server: NatsServer
) -> None:
    command = [sys.executable, "-m", "spyctl", "replay", "--speed", "150", "--json", "--nats-url", nats_server.url]
    process = subprocess.Popen(
        command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    for size in (500_000, 5_000_000):
        eventually_sync(lambda size=size: stored_bytes(nats_server.folder) > size)
        nats_server.restart(kill=True)
    out, _ = process.communicate(timeout=120)
    found = json.loads(out)
    assert process.returncode == 0
    assert found["read"] == found["published"] == found["acked"] == 62_042
    lines = stored(cli, nats_server.url)
    assert len(lines) == 62_042
    undisturbed = summary(cli, "replay", "--speed", "max", "--nats-url", nats_server.url)
    assert undisturbed["digest"] == found["digest"]
    again = stored(cli, nats_server.url, place="62043")
    assert [line["event"] for line in again] == [line["event"] for line in lines]


def test_every_command_says_its_version_and_explains_itself(cli: Cli) -> None:
    assert re.match(r"spyctl \d+\.\d+\.\d+\n", cli("--version").stdout)
    for command in re.findall(r"│ ([a-z-]+) ", cli("--help").stdout):
        page = cli(command, "--help").stdout
        assert f"spyctl {command}" in page
