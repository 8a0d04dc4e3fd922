"""Tapes for tests: messages with sequences and stored times, and folders to record them into."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson

from spyctl.market.events import MBP10, Aggressor, BidAskLevel, EventSource, FuturesTrade, Gap
from spyctl.market.lines import StreamMessage
from spyctl.market.subjects import encode, subject_of, with_prefix
from spyctl.replay.tapes.contents import Origin, sidecar_path
from spyctl.replay.tapes.reader import TapeReader
from spyctl.replay.tapes.recording import Recording
from tests.support.clock import FakeClock
from tests.support.events import option_trade, quote, trade

STORED_NS = 1_765_898_047_388_000_000  # 2025-12-16 10:14 New York
Open = Callable[..., Recording]  # opens a recording in a test's folder
ORIGIN = Origin("MARKET_DATA", "2025-12-16T14:00:00Z", "", ("market.*", "market.*.*"))


def event(number: int) -> Any:
    """One of the event types after the other, with times that go by the number."""
    ns = STORED_NS + number * 1_000_000
    levels = tuple(BidAskLevel(6_800.0 - i, 10 + number % 7, 6_800.25 + i if i < 8 else None, 3) for i in range(10))
    kinds = [
        trade(ts_event_ns=ns, ts_recv_ns=ns + 50_000, seq=number),
        quote(ts_event_ns=ns, ts_recv_ns=ns + 50_000),
        option_trade(ts_event_ns=ns, ts_recv_ns=ns + 50_000),
        FuturesTrade(ns, ns + 50_000, EventSource.DIRECT_FEED, "ES", 6_800.25, 3, Aggressor.BUY, seq=number),
        MBP10(ns, ns + 50_000, EventSource.DIRECT_FEED, "ES", levels, seq=number),
        Gap(ns, ns + 50_000, EventSource.SIM, "stocks", ns, ns + 1, "cut", f"g{number}", 1),
    ]
    return kinds[number % len(kinds)]


def message(
    number: int, *, stored_ns: int | None = None, prefix: str = "", payload: bytes | None = None
) -> StreamMessage:
    """The message with a sequence."""
    made = event(number)
    stored_ns = STORED_NS + number * 1_000_000 + 200_000 if stored_ns is None else stored_ns
    return StreamMessage(number, with_prefix(subject_of(made), prefix), stored_ns, payload or encode(made), 0)


def messages(first: int, last: int, *, prefix: str = "") -> list[StreamMessage]:
    """The messages from one sequence to another, both included."""
    return [message(number, prefix=prefix) for number in range(first, last + 1)]


def record(folder: Path, wanted: Sequence[StreamMessage], origin: Origin = ORIGIN, frame: int = 50) -> Path:
    """Record messages, so many to a frame; return the last tape."""
    recording = Recording(folder, origin, clock=FakeClock())
    for start in range(0, len(wanted), frame):
        part = wanted[start : start + frame]
        recording.write(part, part[-1].seq)
    tape = recording.tapes[-1]
    recording.close()
    return tape


def stored_on(path: Path) -> list[StreamMessage]:
    """The messages of a whole tape."""
    reader = TapeReader(path)
    found = [one for lines in reader.lines() for one in lines.messages(reader.subjects)]
    assert not reader.findings.damage
    assert not reader.findings.rejected["sequence_goes_back"]
    return found


def sidecar_of(path: Path) -> Any:
    """What stands beside a tape."""
    return orjson.loads(sidecar_path(path).read_bytes())
