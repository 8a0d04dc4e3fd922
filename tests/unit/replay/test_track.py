"""What was read is published, rejected, held or skipped: for each segment, and for the run."""

from contextlib import suppress
from pathlib import Path

import pytest

from spyctl.bus.in_flight import Delivery
from spyctl.dbn.sort_times import Selection
from spyctl.market.encode import EncodedBatch
from spyctl.market.events import ResetReason
from spyctl.replay.file_source import FileSource
from spyctl.replay.pieces import Stretch
from spyctl.replay.script import prelude_of, reset_of
from spyctl.replay.segments import Cursor, Journal, Segment
from spyctl.replay.source import DBNIngestor, Reading
from spyctl.replay.track import Track
from spyctl.timing.instants import MAX_INSTANT
from tests.support.records import MS, T0, trade, write_file


@pytest.fixture
def source(tmp_path: Path) -> FileSource:
    rejected = trade(T0 + 2 * MS, price=(1 << 63) - 1)
    write_file(tmp_path, "trades", [trade(T0), rejected, *(trade(T0 + i * MS) for i in range(3, 11))])
    return FileSource(tuple(DBNIngestor(tmp_path).discover_files()), Selection())


class Publishing:
    """Publishes pieces of a stretch into a track, as a player does."""

    def __init__(self, source: FileSource, base: int = 0, *, with_digest: bool = True) -> None:
        self.source = source
        self.delivery = Delivery()
        self.reading = Reading()
        self.track = Track(self.reading, self.delivery, Journal(run_id="r"), base, with_digest=with_digest)

    def begin(self, segment: Segment, skip: int = 0) -> EncodedBatch:
        stretch = Stretch(self.source, segment.cursor, skip, None, self.reading)
        self.track.begin(segment, stretch)
        return next(piece for piece in stretch.pieces() if len(piece))

    def publish(self, piece: EncodedBatch) -> None:
        with self.track.sending(piece):
            self.delivery.published += len(piece)

    def prelude(self, segment: Segment, books: list[bytes]) -> None:
        piece = prelude_of(reset_of(segment, "r"), books)
        self.delivery.published += len(piece)
        self.track.add_prelude(piece)


def test_each_record_is_somewhere_in_each_segment_and_in_the_run(source: FileSource) -> None:
    play = Publishing(source)
    track = play.track
    piece = play.begin(Segment())
    assert (track.read, track.held, track.published, track.position) == (10, 9, 0, 0)
    play.publish(piece[:4])
    assert (track.held, track.published, track.position, track.skipped) == (5, 4, 4, 0)
    track.current.leave(MAX_INSTANT)
    second = Segment(1, 5, Cursor(T0 + 3 * MS), ResetReason.SEEK, T0, 1, 1)
    rest = play.begin(second)
    play.prelude(second, [b"book"])
    assert (track.read, track.skipped, track.published, track.position) == (18, 5, 4, 6)
    play.publish(rest)
    assert (track.held, track.published, track.position) == (0, 12, 14)
    assert (track.segments, track.resets, track.seeds) == (2, 1, 1)
    for played in track.played:
        assert played.read == played.published + played.rejected + played.held + played.skipped
    first, last = (played.document() for played in track.played)
    assert (first["read"], first["published"], first["rejected"], first["skipped"]) == (10, 4, 1, 5)
    assert (last["read"], last["published"], last["rejected"], last["skipped"]) == (8, 8, 0, 0)
    assert (first["from_ns"], last["from_ns"]) == (T0, T0 + 3 * MS)
    assert (first["reason"], last["reason"], last["first_position"], last["seeds"]) == (None, "seek", 5, 1)
    assert first["first_event_utc"] == "2025-12-16T14:30:00.000000000Z"


def test_acknowledgements_of_resets_and_seeds_are_none_of_events(source: FileSource) -> None:
    play = Publishing(source)
    play.publish(play.begin(Segment())[:4])
    play.delivery.acked = 3
    assert play.track.acked == 3
    play.track.current.leave(MAX_INSTANT)
    second = Segment(1, 5, Cursor(T0 + 3 * MS), ResetReason.SEEK, T0, 1, 1)
    play.begin(second)
    play.prelude(second, [b"book"])
    play.delivery.acked = 6
    assert play.track.acked == 4


def test_a_piece_that_is_on_its_way_counts_as_far_as_it_is_sent(source: FileSource) -> None:
    play = Publishing(source)
    piece = play.begin(Segment())
    with suppress(ValueError), play.track.sending(piece):
        play.delivery.published += 3
        assert len(play.track.on_its_way or ()) == 3
        assert (play.track.published, play.track.held) == (3, 6)
        raise ValueError("broken")
    assert (play.track.published, play.track.current.published) == (3, 0)


def test_what_an_earlier_process_has_published_is_not_read_again(source: FileSource) -> None:
    play = Publishing(source, base=4)
    assert (play.track.resumed_at, play.track.position) == (4, 4)
    piece = play.begin(Segment(), skip=4)
    assert (len(piece), play.track.read, play.track.held) == (5, 6, 5)


def test_the_digest_is_that_of_the_messages_and_of_one_segment(source: FileSource) -> None:
    straight, cut = Publishing(source), Publishing(source)
    piece = straight.begin(Segment())
    straight.publish(piece)
    other = cut.begin(Segment())
    for start in range(0, len(other), 2):
        cut.publish(other[start : start + 2])
    assert straight.track.digest == cut.track.digest is not None
    digest = cut.track.digest
    cut.track.current.leave(MAX_INSTANT)
    cut.begin(Segment(1, 10, Cursor(T0), ResetReason.SEEK, T0, 1))
    assert cut.track.digest is None
    assert cut.track.played[0].digest == digest
    none = Publishing(source, with_digest=False)
    none.publish(none.begin(Segment()))
    assert (none.track.digest, none.track.current.document()["digest"]) == (None, None)


def test_of_many_segments_the_last_are_shown_and_all_counted(source: FileSource) -> None:
    play = Publishing(source)
    for number in range(150):
        reason = ResetReason.LOOP if number else None
        piece = play.begin(Segment(number, 2 * number + 1, Cursor(), reason))
        play.publish(piece[:2])
        play.track.current.leave(MAX_INSTANT)
    track = play.track
    assert (len(track.played), track.segments, track.published, track.read) == (100, 150, 300, 1_500)
    assert track.skipped == 150 * 7
