"""What a replay says of itself."""

from pathlib import Path

import orjson
import pytest

from tests.support.records import MS, SECOND, T0, trade, write_file
from tests.support.replays import Controlled


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("day")
    write_file(folder, "trades", [trade(T0 + i * 100 * MS) for i in range(50)])
    return folder


async def test_before_the_first_event_it_stands_at_it(root: Path) -> None:
    async with Controlled(root) as replay:
        status = await replay.do("status")
    assert status == {
        "run_id": "r", "event_ns": T0, "speed": 0.0, "state": "paused", "segment": 0,
        "event_utc": "2025-12-16T14:30:00.000000000Z", "speed_achieved": None, "behind_s": 0.0, "waiting_for": None,
        "searched": None,
        "published": 0, "acked": 0, "seeks": 0, "seeds": 0, "first_ns": T0, "last_ns": T0 + 4_900 * MS, "marks": {},
        "loop": None,
    }  # fmt: skip


async def test_it_tells_where_it_is_and_what_it_was_told(root: Path) -> None:
    async with Controlled(root) as replay:
        await replay.do("step 11")
        await replay.do("mark late")
        await replay.do("seek -500ms")
        await replay.do("mark early")
        await replay.do("speed 5")
        await replay.do("loop early late")
        status = orjson.loads(orjson.dumps(await replay.do("status")))
    assert (status["event_ns"], status["speed"], status["state"]) == (T0 + 500 * MS, 5.0, "paused")
    assert (status["segment"], status["seeks"], status["published"], status["acked"]) == (1, 1, 11, 11)
    assert list(status["marks"].items()) == [("early", T0 + 500 * MS), ("late", T0 + SECOND)]
    assert status["loop"] == {"from_ns": T0 + 500 * MS, "to_ns": T0 + SECOND}


async def test_while_it_ends_and_after_that_it_says_so(root: Path) -> None:
    async with Controlled(root) as replay:
        assert (await replay.do("stop"))["state"] == "finishing"
        await replay.end()
        assert replay.replay.status()["state"] == "finishing"


async def test_it_says_why_nothing_is_published(root: Path) -> None:
    async with Controlled(root) as replay:
        replay.replay._player.waiting_for = "the lease is in doubt"
        assert (await replay.do("status"))["waiting_for"] == "the lease is in doubt"
