"""Counters by subject."""

from spyctl.market.subjects import SUBJECTS
from spyctl.replay.progress import TAPE, Progress
from spyctl.replay.sightings import Sightings, Trouble
from tests.support.batches import batch_of, numbered
from tests.support.records import SECOND


def test_events_count_by_subject_and_busiest_second() -> None:
    progress = Progress(SUBJECTS, Sightings(0, 1_000))
    mixed = batch_of([b"a", b"b", b"c"], [3, 4, 3])
    mixed.late[1] = True
    progress.add(mixed, SECOND)
    progress.add(numbered(range(5), rank=4), 3 * SECOND)
    assert progress.by_subject == {SUBJECTS[3]: 2, SUBJECTS[4]: 6}
    assert (progress.second.peak, progress.late) == (5, 1)
    assert {subject: seconds.peak for subject, seconds in progress.seconds.items()} == {SUBJECTS[3]: 2, SUBJECTS[4]: 5}
    assert progress.newest[SUBJECTS[3]].last_payload(3) == b"c"
    assert progress.newest[SUBJECTS[4]].last_payload(4) == b"event 4"


def test_resets_and_seeds_are_the_newest_but_do_not_count() -> None:
    progress = Progress(SUBJECTS, Sightings(0, 1_000))
    progress.show(batch_of([b"reset", b"book"], [6, 4]))
    assert progress.newest[SUBJECTS[4]].last_payload(4) == b"book"
    assert (progress.by_subject, progress.second.peak, progress.late) == ({}, 0, 0)


def test_the_tape_keeps_the_last_trades_of_every_subject_in_order() -> None:
    progress = Progress(SUBJECTS, Sightings(0, 1_000))
    progress.add(numbered(range(100), rank=3), SECOND)
    progress.add(batch_of([b"stock", b"book", b"future"], [0, 4, 3]), SECOND)
    assert len(progress.tape) == TAPE
    assert list(progress.tape)[-3:] == [(SUBJECTS[3], b"event 99"), (SUBJECTS[0], b"stock"), (SUBJECTS[3], b"future")]


def test_a_piece_without_events_counts_nothing() -> None:
    progress = Progress(SUBJECTS, Sightings(0, 1_000))
    assert progress.counts(numbered(range(3))[:0]) == []
    progress.add(numbered(range(3))[:0], 0)
    assert not progress.by_subject


def test_late_events_and_gaps_are_remembered_with_their_places() -> None:
    progress = Progress(SUBJECTS, Sightings(0, 3_999))
    piece = batch_of([b"{}"] * 4, [0, SUBJECTS.index("market.gaps"), 0, 0])
    piece.sort_ns[:] = [15, 1_005, 2_005, 2_005]
    piece.late[:] = [False, False, True, True]
    progress.add(piece, 1)
    assert progress.late == 2
    assert progress.sightings.places(Trouble.LATE) == [2_005]
    assert progress.sightings.places(Trouble.GAP) == [1_005]
    assert progress.sightings.places(Trouble.STALL) == []
