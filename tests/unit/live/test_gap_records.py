"""Each change of a gap is a note and a record in the stream."""

from spyctl.live.backlog import Backlog
from spyctl.live.gap_records import GapRecords
from spyctl.live.note_log import NoteLog
from spyctl.live.sender import Sender, SenderTiming
from spyctl.market.events import EventSource, Gap
from spyctl.market.subjects import decode
from spyctl.timing.instants import SECOND
from tests.support.clock import WALL_NS, FakeClock
from tests.support.sinks import RecordingSink


async def test_a_gap_is_told_when_it_opens_and_when_it_closes_and_not_in_between() -> None:
    clock, sink = FakeClock(), RecordingSink()
    notes, sender = NoteLog(clock), Sender(Backlog(), sink, clock, SenderTiming())
    records = GapRecords(EventSource.SIM, sender, notes, clock)
    records.open("stocks", WALL_NS - SECOND, "reset")
    records.open("stocks", WALL_NS, "still away")
    clock.advance(SECOND)
    closed = records.close("stocks", clock.time_ns(), events=3)
    assert records.close("stocks", clock.time_ns()) is None
    await sender.send_waiting()
    opened, ended = (decode(subject, payload) for subject, payload in sink.messages)
    assert isinstance(opened, Gap)
    assert ended == closed
    assert (opened.ts_recv_ns, opened.from_ns, opened.to_ns) == (WALL_NS, WALL_NS - SECOND, None)
    assert [note.text for note in notes.recent] == [
        "gap stocks: open (reset)",
        "gap stocks 2.000 s: closed (reset)",
    ]
    assert notes.warnings == 1


async def test_the_two_records_of_a_gap_have_identities_of_their_own() -> None:
    clock, backlog = FakeClock(), Backlog()
    sender = Sender(backlog, RecordingSink(), clock, SenderTiming())
    records = GapRecords(EventSource.SIM, sender, NoteLog(clock), clock)
    records.open("nats", WALL_NS, "NATS is away")
    gap = records.close("nats", WALL_NS, 0)
    assert gap is not None
    identities = [pending.identity for pending in backlog.take(10)]
    assert identities == [f"G.{gap.gap_id}.open", f"G.{gap.gap_id}.closed"]


async def test_a_gap_that_stays_open_is_told_with_what_is_missing() -> None:
    clock, backlog, notes = FakeClock(), Backlog(), NoteLog(FakeClock())
    records = GapRecords(EventSource.SIM, Sender(backlog, RecordingSink(), clock, SenderTiming()), notes, clock)
    for missing in (7, None):
        records.open("futures", WALL_NS, "reset")
        records.leave_open("futures", missing)
    records.leave_open("futures", 1)
    kinds = [pending.identity.rpartition(".")[2] for pending in backlog.take(10)]
    assert kinds == ["open", "short", "open", "short"]
    assert [note.text for note in notes.recent][1::2] == [
        "gap futures: stays open, 7 events or more were not sent again",
        "gap futures: stays open, nobody knows how many events were not sent again",
    ]
