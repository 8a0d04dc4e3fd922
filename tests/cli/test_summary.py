"""The summary of a run as a person reads it, and as JSON."""

import sys
from dataclasses import replace
from datetime import date
from typing import Any

import orjson
import pytest

from spyctl.cli.summary import print_live_summary, print_summary
from spyctl.summary import (
    DeliveryFigures,
    EventCounts,
    Jumps,
    LiveDetails,
    OptionQuotes,
    ReplayDetails,
    RunSummary,
    StopReason,
    Timing,
    Verified,
    Waiting,
    WindowFigures,
)
from spyctl.timing.histogram import Percentiles
from spyctl.timing.instants import MS, SECOND
from spyctl.timing.notes import Note
from tests.support.records import T0

DAY = date(2025, 12, 16)
SUMMARY = RunSummary(
    run_id="3kq7",
    events=EventCounts(
        read=61_859, published=61_859, acked=61_859,
        by_subject={"market.futures.trades": 2_947, "market.futures.mbp10": 58_912},
    ),
    delivery=DeliveryFigures(
        "fast ingest", 0, "MARKET_DATA", 1, 61_859, payload_bytes=45_000_000, ack_ms=Percentiles(1.1, 4.0)
    ),
    timing=Timing(1, 2, 60 * SECOND, 599_987 * MS, 10.0, 10.0, 1_031.0),
    details=ReplayDetails(
        records=61_859, first_event_ns=T0 + 4 * MS, last_event_ns=T0 + 300 * SECOND, paced_ns=59_999 * MS,
        peak_events_per_s=5_554,
    ),
    complete=True,
    digest="9f2c",
)  # fmt: skip


def changed(*, events: dict[str, Any] | None = None, **details: Any) -> RunSummary[ReplayDetails]:
    return replace(
        SUMMARY, events=replace(SUMMARY.events, **(events or {})), details=replace(SUMMARY.details, **details)
    )


def printed(capsys: pytest.CaptureFixture[str], summary: RunSummary[ReplayDetails], *dates: date) -> list[str]:
    print_summary(summary, dates or (DAY,), as_json=False, to_stderr=False)
    return capsys.readouterr().out.splitlines()


def test_a_whole_replay_in_eight_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, SUMMARY) == [
        "done     2025-12-16  09:30:00.004 → 09:35:00.000 New York, run 3kq7",
        "events   61,859 read = 61,859 published = 61,859 acked",
        "         58,912 mbp-10 + 2,947 trades",
        "trouble  0 late   0 rejected   0 gaps",
        "speed    asked 10×, achieved 10.00×: 9 m 59.987 s in 59.999 s",
        "rate     mean 1,031 events/s, peak 5,554/s   ack p50 1.1 ms, p99 4.0 ms",
        "stream   MARKET_DATA, seq 1 to 61,859, 45.0 MB, acks fast ingest",
        "digest   9f2c, the same for the same input",
    ]


def test_what_is_wrong_is_counted_in_the_singular_too(capsys: pytest.CaptureFixture[str]) -> None:
    summary = changed(
        events={
            "late": 2, "gaps": 1, "reordered": 3, "rejected_by_reason": {"price": 1}, "unresolved": 4,
            "by_subject": {"market.futures.trades": 1, "X.market.futures.mbp10": 0},
        },
        damaged=["cut short"], held=7,
    )  # fmt: skip
    summary = replace(summary, timing=replace(summary.timing, stalls=1))
    lines = printed(capsys, summary)
    assert "1 rejected + 7 held; 61,859 acked" in lines[1]
    assert lines[2].strip() == "1 trade"
    assert lines[3] == "trouble  2 late   1 rejected   1 gap   3 reordered   4 unresolved   1 damaged   1 stall"
    assert lines[4] == "         1 rejected: 1 price"


def test_rejected_events_have_their_reasons_the_most_frequent_first(capsys: pytest.CaptureFixture[str]) -> None:
    reasons = {"no_event": 2, "sequence_goes_back": 1_200, "no_price": 3, "a": 1, "b": 1, "c": 1}
    assert printed(capsys, changed(events={"rejected_by_reason": reasons}))[4].strip() == (
        "1,208 rejected: 1,200 repeated sequence, 3 no price, 2 no event, 1 a, 2 for other reasons"
    )


def test_subjects_without_events_are_left_out_where_another_has_some(capsys: pytest.CaptureFixture[str]) -> None:
    some = {"market.futures.trades": 5, "market.options.quotes": 0, "market.resets": 0}
    assert printed(capsys, changed(events={"by_subject": some}))[2].strip() == "5 trades"
    none = dict.fromkeys(some, 0)
    assert printed(capsys, changed(events={"by_subject": none}))[2].strip() == "0 resets + 0 option quotes + 0 trades"


def test_a_run_that_ended_in_an_error_has_no_digest_to_compare(capsys: pytest.CaptureFixture[str]) -> None:
    labels = [line.split(" ")[0] for line in printed(capsys, replace(SUMMARY, stopped_by=StopReason.ERROR))]
    assert "stream" in labels
    assert "digest" not in labels


def test_a_replay_that_was_stopped_says_by_what(capsys: pytest.CaptureFixture[str]) -> None:
    stopped = replace(SUMMARY, stopped_by=StopReason.CTRL_C, complete=False, resumed_at=1_000)
    lines = printed(capsys, stopped, DAY, DAY.replace(day=17))
    assert lines[0].startswith("ended    2025-12-16 to 2025-12-17  09:30:00.004")
    assert lines[0].endswith("run 3kq7, resumed after 1,000")
    assert lines[1].strip() == "by Ctrl-C"


def test_events_that_were_left_behind_by_jumps_stand_in_the_equation(capsys: pytest.CaptureFixture[str]) -> None:
    jumped = changed(events={"read": 61_859 + 700}, jumps=Jumps(segments=2, skipped=700))
    (equation,) = [line for line in printed(capsys, jumped) if line.startswith("events")]
    assert equation == "events   62,559 read = 61,859 published + 700 skipped; 61,859 acked"


def test_without_events_there_is_neither_speed_nor_rate(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = changed(events={"by_subject": {"t": 0, "b": 0}}, first_event_ns=None, last_event_ns=None)
    labels = [line.split(" ")[0] for line in printed(capsys, nothing)]
    assert "speed" not in labels
    assert "rate" not in labels


@pytest.mark.parametrize(
    ("verified", "verdict"),
    [
        (Verified(stored=9, missing=0, differing=0), "9 stored, each identical to its event"),
        (
            Verified(stored=8, missing=1, differing=2, first_difference=17),
            "8 stored, 1 missing, 2 unexpected, the first at seq 17",
        ),
        (Verified(stored=8, missing=1, differing=0), "8 stored, 1 missing, 0 unexpected"),
        (
            Verified(stored=8, missing=0, differing=0, unchecked=1_200),
            "8 stored, each identical to its event; 1,200 before them not compared: it jumped more often than is kept",
        ),
    ],
)
def test_the_result_of_verifying_is_one_line(
    capsys: pytest.CaptureFixture[str], verified: Verified, verdict: str
) -> None:
    assert f"verify   {verdict}" in printed(capsys, changed(verified=verified))


def test_as_json_it_is_the_document_on_the_stream_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(SUMMARY, [DAY], as_json=True, to_stderr=True)
    output = capsys.readouterr()
    assert output.out == ""
    assert orjson.loads(output.err) == orjson.loads(orjson.dumps(SUMMARY.document()))


LIVE = RunSummary(
    run_id="8c41",
    events=EventCounts(
        read=14, published=10, acked=10, duplicates=1, dropped=2, gaps=3, gaps_filled=1,
        rejected_by_reason={"price": 1},
        by_subject={
            "market.stocks.trades": 1, "market.stocks.quotes": 7, "market.options.trades": 2, "market.gaps": 1,
        },
    ),
    delivery=DeliveryFigures("per message", 0, "MARKET_DATA", 61_860, 61_870, ack_ms=Percentiles(0.9, 4.2)),
    timing=Timing.real_time(1, 2, 67 * SECOND, 10),
    details=LiveDetails(
        received=14, waiting=Waiting(), windows=[WindowFigures("SPY", "2025-12-16", 5, 680, 22)], gap_records=1,
        open_gaps=["nats"], missing=["T.O:SPY"], latency_ms=Percentiles(2.1, 6.8), notes=[Note(T0, "a note")],
        quotes=OptionQuotes("publish", 31, 2, 2, 1, Percentiles(3.1, 50.2)),
    ),
    complete=True,
    stopped_by=StopReason.CTRL_C,
)  # fmt: skip


def test_a_live_run_in_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_live_summary(LIVE, "live --sim", "SPY ±5", as_json=False, out=sys.stdout)
    assert capsys.readouterr().out.splitlines() == [
        "done     live --sim, SPY ±5, 1 m 07 s, run 8c41, ended by Ctrl-C",
        "events   14 received = 10 published + 1 rejected + 1 duplicate + 2 dropped; all acked",
        "         1 trade + 7 quotes + 2 option trades",
        "trouble  3 gaps (1 filled; open: nats)   1 rejected   2 dropped   1 topic never acknowledged",
        "         1 rejected: 1 price",
        "rate     mean 0 events/s   event to received p50 2.1 ms, p99 6.8 ms",
        "         received to acked p50 0.9 ms, p99 4.2 ms",
        "sides    50.0% of 2 option trades by 31 option quotes   waited p50 3.1 ms, p99 50.2 ms",
        "stream   MARKET_DATA, seq 61,860 to 61,870 (with 1 gap record)",
        "note     09:30:00  a note",
    ]


def test_a_live_run_as_json_is_its_document(capsys: pytest.CaptureFixture[str]) -> None:
    print_live_summary(LIVE, "live --sim", "SPY", as_json=True, out=sys.stdout)
    assert orjson.loads(capsys.readouterr().out) == orjson.loads(orjson.dumps(LIVE.document()))
