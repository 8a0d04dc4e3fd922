"""Figures for Prometheus, and whether a run is well."""

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Cli
from tests.support.records import MS, T0, trade, write_file
from tests.support.servers import NatsServer, unused_port
from tests.support.waiting import eventually_sync

pytestmark = pytest.mark.integration
Start = Callable[..., str]


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path, nats_server: NatsServer) -> Iterator[Start]:
    running: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> str:
        process = subprocess.Popen(
            [sys.executable, "-m", "spyctl", *arguments, "--metrics", "0", "--log-json"], env=environment, cwd=tmp_path,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        running.append(process)
        assert process.stderr is not None
        for line in process.stderr:
            if (text := json.loads(line)["text"]).startswith("metrics: "):
                return text.removeprefix("metrics: ").removesuffix("/metrics")
        raise AssertionError("no metrics")

    yield run
    for process in running:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def figures(url: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    code, text = get(f"{url}/metrics")
    assert code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_replay_serves_its_metrics(start: Start, tmp_path: Path, nats_server: NatsServer) -> None:
    write_file(tmp_path / "dbn-data", "trades", [trade(T0 + i * MS) for i in range(2_000)])
    url = start("replay", "--speed", "0.1", "--nats-url", nats_server.url)
    assert url.startswith("http://127.0.0.1:")
    eventually_sync(lambda: get(f"{url}/readyz")[0] == 200)
    assert get(f"{url}/healthz") == (200, "ok\n")
    assert get(f"{url}/elsewhere")[0] == 404
    eventually_sync(lambda: figures(url)["spyctl_events_total", (("subject", "market.futures.trades"),)] > 0)
    found = figures(url)
    assert found["spyctl_ready", ()] == 1
    assert found["spyctl_speed_asked", ()] == 0.1
    assert found["spyctl_published_total", ()] >= found["spyctl_acked_total", ()]
    assert found["spyctl_event_time_seconds", ()] == pytest.approx(T0 / 1e9, abs=3)
    eventually_sync(lambda: figures(url)["spyctl_acked_total", ()] > found["spyctl_acked_total", ()])


def test_the_live_side_is_ready_while_feeds_and_nats_are_up(start: Start, nats_server: NatsServer) -> None:
    url = start("live", "--sim", "--nats-url", nats_server.url)
    eventually_sync(lambda: get(f"{url}/readyz")[0] == 200)
    found = figures(url)
    assert found["spyctl_feed_up_stocks", ()] == found["spyctl_feed_up_options", ()] == 1
    eventually_sync(lambda: ("spyctl_window_lowest", ()) in figures(url))
    assert 0 <= figures(url)["spyctl_spot_age_seconds", ()] < 5
    nats_server.stop(kill=True)
    eventually_sync(lambda: get(f"{url}/readyz")[1].startswith("waiting for NATS (no NATS server answers on nats://"))
    assert get(f"{url}/healthz")[0] == 200
    nats_server.start()
    eventually_sync(lambda: get(f"{url}/readyz")[0] == 200)


def test_a_stuck_event_loop_is_not_healthy() -> None:
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    from spyctl.cli.framework.metrics import Figures, serving

    async def stuck() -> tuple[int, str]:
        with ThreadPoolExecutor() as pool, serving(("127.0.0.1", 0), lambda: Figures({}, "")) as url:
            # The event loop does nothing but wait for the answer of another thread.
            return pool.submit(get, url.replace("/metrics", "/healthz")).result(30)

    assert asyncio.run(stuck()) == (503, "the event loop does not answer\n")


def test_an_address_in_use_is_an_error_before_anything_is_published(cli: Cli, tmp_path: Path) -> None:
    import socket

    write_file(tmp_path / "dbn-data", "trades", [trade(T0)])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = cli("replay", "--metrics", str(taken.getsockname()[1]))
    assert result.returncode == 2
    assert "in use" in result.stderr
    assert result.stdout == ""
    assert unused_port()
