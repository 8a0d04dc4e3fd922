"""What a snapshot looks like: every line fits, and the figures are in it."""

from dataclasses import replace
from typing import Any

import pytest

from spyctl.bus.consumers import Consumer
from spyctl.market.events import MBP10, Aggressor, BidAskLevel, EventSource, FuturesTrade
from spyctl.replay.player import RunState
from spyctl.replay.screen import (
    BINS,
    Position,
    Scene,
    Snapshot,
    SpeedNow,
    Subject,
    progress_line,
    render,
)
from spyctl.summary import DeliveryFigures, EventCounts, ReplayDetails, RunSummary, Timing
from spyctl.terminal.process import Usage
from spyctl.timing.clock import MAX_SPEED, Speed
from spyctl.timing.histogram import Percentiles
from spyctl.timing.instants import HOUR, MINUTE, SECOND
from spyctl.timing.notes import Note
from tests.support.records import T0

SIZES = [(80, 24), (140, 40), (100, 30), (200, 50), (120, 34)]
LEVELS = tuple(BidAskLevel(6_815.0 - i / 4, 40 + i, 6_815.25 + i / 4, 20 + i) for i in range(10))
SNAPSHOT = Snapshot(
    scene=Scene("2025-12-16", "trades + mbp-10 of ES", True, "embedded", "MARKET_DATA", T0, T0 + 10 * MINUTE),
    state=RunState.PLAYING,
    summary=RunSummary(
        run_id="3kq7",
        events=EventCounts(read=1_300, published=1_000, acked=990, by_subject={}),
        delivery=DeliveryFigures(
            "per message", 10, "MARKET_DATA", 1, 990, payload_bytes=31_000_000, ack_ms=Percentiles(1.1, 4.0)
        ),
        timing=Timing(1, None, 6 * SECOND, MINUTE, 10.0, 10.0, 166.0),
        details=ReplayDetails(records=1_300, held=300),
        complete=False,
    ),
    position=Position(T0 + MINUTE + 7 * SECOND, wall_ns=6_700_000_000),
    speed=SpeedNow(Speed(10.0), 9.98, 0),
    subjects=[
        Subject("futures.mbp10", 900, 90.0, 400.0, (80.0, 90.0)),
        Subject("futures.trades", 100, 10.0, 60.0, (20.0, 10.0)),
    ],
    book=MBP10(T0, T0, EventSource.DIRECT_FEED, "ES", LEVELS),
    trade=FuturesTrade(T0, T0, EventSource.DIRECT_FEED, "ES", 6_815.25, 3, Aggressor.BUY),
    consumers=[Consumer("lake", 1_204, 0.7, 128)],
    density=(5.0,) * BINS,
    notes=[Note(T0, "the regular session opened", of_event=True)],
    warnings=0,
    usage=Usage(),
)


def lines(snapshot: Snapshot, width: int, height: int) -> list[str]:
    return [line.rstrip() for line in render(snapshot, width, height).plain.split("\n")]


def changed(counts: dict[str, Any] | None = None, **fields: Any) -> Snapshot:
    summary = replace(SNAPSHOT.summary, events=replace(SNAPSHOT.summary.events, **(counts or {})))
    return replace(SNAPSHOT, summary=summary, **fields)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(
    "snapshot",
    [
        SNAPSHOT,
        changed(book=None, trade=None, consumers=None, notes=[]),
        changed(position=Position(None), subjects=[]),
        changed(speed=SpeedNow(MAX_SPEED, None, 0)),
    ],
    ids=["usual", "without a book", "before the first event", "max"],
)
def test_a_frame_fits_its_terminal(snapshot: Snapshot, size: tuple[int, int]) -> None:
    drawn = lines(snapshot, *size)
    assert len(drawn) <= size[1]
    assert max(map(len, drawn)) <= size[0]
    assert drawn[0].startswith(" spyctl replay  2025-12-16   ▶ playing")


def test_the_figures_stand_on_the_screen() -> None:
    drawn = "\n".join(lines(SNAPSHOT, 80, 24))
    for text in (
        "09:31:07.000 New York", "14:31:07.000 UTC", "1 m 07 s after the open", "11 %   6.7 s of 1 m 00 s",
        "asked 10×   achieved 10.00×   now 9.98×   behind 0 ms", "left 53.3 s",
        "futures.mbp10         900       90      400", "all                 1,000      100      100",
        "ES  last 6,815.25 × 3 ▲ buy", "spread 0.25", "read 1,300", "held 300", "in flight 10", "seq 1 to 990",
        "ack p50 1.1 ms", "the regular session opened", "run 3kq7   NATS embedded", "lake 1,204 behind",
    ):  # fmt: skip
        assert text in drawn


def test_the_wide_screen_names_its_parts() -> None:
    drawn = "\n".join(lines(SNAPSHOT, 140, 40))
    for text in (
        "╭─ where we are",
        "╭─ ES book",
        "╭─ delivery",
        "╭─ consumers",
        "warnings 0",
        "this process",
        "in 10 bids",
    ):
        assert text in drawn


def test_what_is_wrong_shows_its_count() -> None:
    drawn = "\n".join(lines(changed({"late": 3, "rejected_by_reason": {"price": 2}, "gaps": 1}), 80, 24))
    assert "late 3   rejected 2   gaps 1" in drawn


@pytest.mark.parametrize(("state", "text"), [(RunState.PLAYING, "▶ playing"), (RunState.FINISHING, "■ finishing")])
def test_each_state_has_its_sign(state: RunState, text: str) -> None:
    assert text in lines(changed(state=state), 80, 24)[0]


def test_at_max_speed_the_rate_takes_the_place_of_now_and_behind() -> None:
    drawn = "\n".join(lines(changed(speed=SpeedNow(MAX_SPEED, 700.0, 0)), 80, 24))
    assert "asked max   achieved 10.00×   100 events/s" in drawn
    assert "behind 0 ms" not in drawn


def test_a_quiet_stretch_says_where_it_ends_and_when() -> None:
    quiet = Position(T0, quiet_to_ns=T0 + HOUR, quiet_left_ns=5 * SECOND, wall_ns=SECOND)
    assert "quiet to 10:30:00, in 5.0 s" in lines(changed(position=quiet), 80, 24)[2]


def test_the_plain_line_names_trouble_only_where_there_is_some() -> None:
    usual = "event 09:31:07 New York  11 %  published 1,000  acked 990  achieved 10.00×"
    assert progress_line(SNAPSHOT) == usual
    troubled = changed({"late": 2}, speed=SpeedNow(Speed(10.0), 5.0, 1_200_000_000))
    assert progress_line(troubled) == f"{usual}  late 2  behind 1.2 s"
    assert progress_line(changed(position=Position(None))) == "waiting for the first event"
