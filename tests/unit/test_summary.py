"""The summary of a run: its keys, and the one rule for the exit code."""

from typing import Any

import orjson
import pytest

from spyctl.errors import ExitCode
from spyctl.summary import (
    Backfilled,
    DeliveryFigures,
    EventCounts,
    LiveDetails,
    ReplayDetails,
    RunSummary,
    StopReason,
    Timing,
    Verified,
    Waiting,
    WindowFigures,
)
from spyctl.timing.histogram import Percentiles
from spyctl.timing.instants import SECOND
from spyctl.timing.notes import Note


def keys(text: str) -> set[str]:
    return set(text.split())


CONTRACT = keys(
    "run_id events by_subject read published acked duplicates rejected late reordered dropped gaps unresolved wall_s "
    "event_s quiet_skipped_s stalls stalled_s speed_asked speed_achieved events_per_s ack_ms stream first_seq last_seq "
    "digest digest_algorithm resumed_at complete stopped_by"
)
REPLAY = CONTRACT | keys(
    "gaps_filled "
    "held rejected_by_reason unresolved_ids rolls damaged resent refusals reconnects first_event_ns first_event_utc "
    "last_event_ns last_event_utc started_ns started_utc ended_ns ended_utc paced_s lateness_ms peak_events_per_s "
    "encoder encoder_reason "
    "segments seeks resets seeds skipped played "
    "bytes stored missing differing unchecked acknowledged lost expired"
)
LIVE = CONTRACT | keys(
    "gaps_filled "
    "received queued spooled recovered rejected_by_reason noted gap_records open_gaps notes backfilled unfilled resent "
    "refusals reconnects feed_reconnects refused missing started_ns started_utc ended_ns ended_utc bytes latency_ms "
    "acknowledged lost expired expiry strike_range centre windows option_quotes option_quotes_received options_quoted "
    "options_classified options_classified_share options_wait_ms"
)

Run = RunSummary[Any]


def summary(
    *,
    counts: dict[str, Any] | None = None,
    replay: dict[str, Any] | None = None,
    live: dict[str, Any] | None = None,
    delivery: dict[str, int] | None = None,
    stopped_by: StopReason | None = None,
) -> Run:
    details = (
        ReplayDetails(**({"records": 10} | (replay or {})))
        if live is None
        else LiveDetails(
            **({"received": 10, "waiting": Waiting(), "windows": [WindowFigures("SPY", "", 5, None)]} | live)
        )
    )
    return RunSummary(
        run_id="r",
        events=EventCounts(**({"read": 10, "published": 10, "acked": 10, "by_subject": {"s": 10}} | (counts or {}))),
        delivery=DeliveryFigures("per message", **(delivery or {})),
        timing=Timing.real_time(None, None, 0, 10),
        details=details,
        complete=stopped_by is None,
        stopped_by=stopped_by,
    )


def test_a_replay_writes_the_keys_of_the_contract_and_its_own() -> None:
    document = summary().document()
    assert set(document) == REPLAY
    assert list(document)[-2:] == ["complete", "stopped_by"]


def test_a_live_run_writes_the_keys_of_the_contract_and_its_own() -> None:
    assert set(summary(live={}).document()) == LIVE


def test_a_document_is_plain_json() -> None:
    run = summary(
        live={"notes": [Note(1, "a note")], "latency_ms": Percentiles(1.5, 2.5)}, stopped_by=StopReason.DURATION
    )
    document = orjson.loads(orjson.dumps(run.document()))
    assert document["stopped_by"] == "--for"
    assert document["notes"] == [{"ns": 1, "text": "a note"}]
    assert document["latency_ms"] == {"p50": 1.5, "p99": 2.5}
    assert document["ack_ms"] is None


def test_times_are_written_in_seconds_and_as_text() -> None:
    timing = Timing(SECOND, None, 3 * SECOND // 2, SECOND, 10.0, 9.98, 7.0, quiet_skipped_ns=SECOND // 4)
    document = timing.document()
    assert (document["started_ns"], document["started_utc"]) == (SECOND, "1970-01-01T00:00:01.000000000Z")
    assert (document["ended_ns"], document["ended_utc"]) == (None, None)
    assert (document["wall_s"], document["event_s"], document["quiet_skipped_s"]) == (1.5, 1.0, 0.25)


def test_the_event_time_of_a_live_run_is_its_wall_time() -> None:
    timing = Timing.real_time(SECOND, 3 * SECOND, 2 * SECOND, 10)
    assert (timing.event_ns, timing.speed_asked, timing.speed_achieved, timing.events_per_s) == (
        2 * SECOND, 1.0, 1.0, 5.0,
    )  # fmt: skip
    assert Timing.real_time(None, None, 0, 0).speed_achieved is None


def test_rejected_is_the_sum_of_its_reasons() -> None:
    document = summary(counts={"rejected_by_reason": {"price": 2, "time": 1}}).document()
    assert (document["rejected"], document["rejected_by_reason"]) == (3, {"price": 2, "time": 1})


@pytest.mark.parametrize(
    ("run", "code"),
    [
        (summary(), ExitCode.OK),
        (summary(live={}), ExitCode.OK),
        # Missing, out of order, or not what it should be:
        (summary(counts={"rejected_by_reason": {"price": 1}}), ExitCode.INCOMPLETE),
        (summary(counts={"late": 1}), ExitCode.INCOMPLETE),
        (summary(counts={"reordered": 1}), ExitCode.INCOMPLETE),
        (summary(counts={"dropped": 1}), ExitCode.INCOMPLETE),
        (summary(counts={"gaps": 1}), ExitCode.INCOMPLETE),
        (summary(counts={"gaps": 3, "gaps_filled": 2}), ExitCode.INCOMPLETE),
        (summary(delivery={"unacknowledged": 1}), ExitCode.INCOMPLETE),
        (summary(delivery={"lost": 1}), ExitCode.INCOMPLETE),
        (summary(replay={"damaged": ["cut short"]}), ExitCode.INCOMPLETE),
        (summary(replay={"verified": Verified(stored=9, missing=1, differing=0)}), ExitCode.INCOMPLETE),
        (summary(replay={"verified": Verified(stored=9, missing=0, differing=1)}), ExitCode.INCOMPLETE),
        (summary(live={"refused": ["options"]}), ExitCode.INCOMPLETE),
        (summary(live={"missing": ["T.O:SPY"]}), ExitCode.INCOMPLETE),
        # Not a fault of the run:
        (summary(counts={"unresolved": 5, "duplicates": 2}), ExitCode.OK),
        (summary(delivery={"expired": 5}), ExitCode.OK),
        (summary(counts={"gaps": 2, "gaps_filled": 2}), ExitCode.INCOMPLETE),
        (summary(replay={"held": 5}, stopped_by=StopReason.COUNT), ExitCode.OK),
        (summary(replay={"verified": Verified(stored=10, missing=0, differing=0)}), ExitCode.OK),
        (
            summary(live={"open_gaps": ["nats"], "backfill": Backfilled(0, 1)}, stopped_by=StopReason.DURATION),
            ExitCode.OK,
        ),
        # Nothing could be read:
        (summary(replay={"damaged": ["no DBN"], "records": 0}), ExitCode.FAILED),
        # A signal wins over everything:
        (summary(stopped_by=StopReason.CTRL_C), ExitCode.INTERRUPTED),
        (summary(stopped_by=StopReason.SIGTERM), ExitCode.TERMINATED),
        (summary(counts={"gaps": 1}, live={}, stopped_by=StopReason.CTRL_C), ExitCode.INTERRUPTED),
        (summary(replay={"damaged": ["no DBN"], "records": 0}, stopped_by=StopReason.SIGTERM), ExitCode.TERMINATED),
    ],
)
def test_one_rule_gives_the_exit_code_of_every_run(run: Run, code: ExitCode) -> None:
    assert run.exit_code == code


def test_a_live_run_is_complete_when_somebody_ended_it_in_order() -> None:
    orderly = {reason for reason in StopReason if reason.orderly}
    assert orderly == {StopReason.CTRL_C, StopReason.SIGTERM, StopReason.SIGHUP, StopReason.DURATION}
