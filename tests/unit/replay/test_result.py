"""The summary of a replay: the keys of the contract, and where their values come from."""

from pathlib import Path

import pytest

from spyctl.bus.runs import RunState
from spyctl.replay.result import end_state, summary_of
from spyctl.replay.session import Replay, ReplayOptions
from spyctl.replay.source import DBNIngestor, Roll
from spyctl.summary import StopReason
from spyctl.timing.clock import MAX_SPEED
from tests.support.clock import WALL_NS, JumpingClock
from tests.support.records import MS, T0, trade, write_file
from tests.support.sinks import RecordingSink


async def played(root: Path, **options: object) -> Replay:
    write_file(root, "trades", [trade(T0 + i * MS) for i in range(10)])
    given = ReplayOptions(MAX_SPEED, **options)  # type: ignore[arg-type]
    replay = Replay(DBNIngestor(root).discover_files(), RecordingSink(), given, run_id="r", clock=JumpingClock())
    await replay.run()
    return replay


async def test_the_counts_the_delivery_and_the_instants_are_those_of_the_replay(tmp_path: Path) -> None:
    document = summary_of(await played(tmp_path), "MARKET_DATA").document()
    expected = {
        "run_id": "r", "events": 10, "read": 10, "published": 10, "acked": 10, "held": 0, "complete": True,
        "by_subject": {"market.futures.trades": 10, "market.futures.mbp10": 0}, "stream": "MARKET_DATA",
        "acknowledged": "recorded", "first_seq": 1, "last_seq": 10, "speed_asked": 0.0, "event_s": 0.009,
        "first_event_ns": T0, "first_event_utc": "2025-12-16T14:30:00.000000000Z", "started_ns": WALL_NS,
        "stopped_by": None, "resumed_at": None, "stored": None, "rolls": [], "damaged": [],
    }  # fmt: skip
    assert {key: document[key] for key in expected} == expected


async def test_a_roll_is_listed_once_its_time_has_been_played(tmp_path: Path) -> None:
    replay = await played(tmp_path)
    replay.reading.rolls += [Roll("ES.c.0", 1, 2, T0 + 9 * MS), Roll("ES.c.0", 2, 3, T0 + 10 * MS)]
    rolls = summary_of(replay).details.rolls
    assert rolls == [{"symbol": "ES.c.0", "from_id": 1, "to_id": 2, "ts_ns": T0 + 9 * MS}]


def test_a_replay_that_has_not_begun_has_a_summary_too(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", [trade()])
    replay = Replay(
        DBNIngestor(tmp_path).discover_files(), RecordingSink(), ReplayOptions(), run_id="r", clock=JumpingClock()
    )
    summary = summary_of(replay)
    assert (summary.timing.started_ns, summary.timing.speed_achieved, summary.timing.events_per_s) == (None,) * 3
    assert summary.delivery.ack_ms is None
    assert not summary.complete


@pytest.mark.parametrize(
    ("stopped_by", "state"),
    [
        (None, RunState.COMPLETE),
        (StopReason.COUNT, RunState.COMPLETE),  # to the end that was asked for
        (StopReason.STOP, RunState.STOPPED),
        (StopReason.STOP_KEEP, RunState.ENDED),
        (StopReason.CTRL_C, RunState.ENDED),
        (StopReason.SIGTERM, RunState.ENDED),
    ],
)
def test_a_replay_that_is_to_be_resumed_ends_otherwise_than_one_that_is_not(
    stopped_by: StopReason | None, state: RunState
) -> None:
    assert end_state(stopped_by) is state
