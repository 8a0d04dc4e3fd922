"""Parts of ``make bench`` that prove something themselves, or that need what a machine may lack."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.benchmarks import natscli
from tests.benchmarks.cluster import play_shards, prove, write_days
from tests.support.servers import NatsServer

pytestmark = pytest.mark.integration

# Takes what is used of the options of `nats bench js pub fast`, and stores so many messages.
NATS = """#!{python}
import argparse, asyncio, sys
from pathlib import Path
import nats

parser = argparse.ArgumentParser()
parser.add_argument("--server")
for word in ("bench", "js", "pub", "fast"):
    parser.add_argument(word, choices=[word])
parser.add_argument("subject")
for option in ("--stream", "--size", "--batch", "--max-outstanding-acks"):
    parser.add_argument(option, required=True)
parser.add_argument("--msgs", type=int, required=True)
parser.add_argument("--payload", type=Path, required=True)
parser.add_argument("--no-progress", action="store_true")
options = parser.parse_args()

async def main():
    client = await nats.connect(options.server)
    for _ in range(options.msgs):
        await client.jetstream().publish(options.subject, options.payload.read_bytes())
    await client.close()

asyncio.run(main())
"""


def test_two_shards_at_once_are_each_in_order_and_together_whole(tmp_path: Path) -> None:
    data = write_days(tmp_path / "data", 1)
    shards = play_shards(tmp_path, data, "schema")
    assert len({shard.leader for shard in shards}) == 2
    assert prove(shards, data) > 1_000


def test_the_yardstick_of_the_nats_cli_is_measured_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert natscli.fast_publisher() is None
    (tmp_path / "nats").write_text(f"#!{sys.executable}\nraise SystemExit('unknown command fast')\n")
    (tmp_path / "nats").chmod(0o755)
    assert natscli.fast_publisher() is None  # one that is too old
    (tmp_path / "nats").write_text(NATS.replace("{python}", sys.executable))
    nats = natscli.fast_publisher()
    assert nats is not None
    assert 1 < natscli.publish(nats, served, tmp_path, "market.futures.mbp10", b"x" * 700, 50) < 1_000_000


@contextmanager
def served(folder: Path) -> Iterator[NatsServer]:
    server = NatsServer(folder / "store").start()
    try:
        yield server
    finally:
        server.stop()
