"""Notes: the last ones, and how many were warnings."""

from spyctl.live.note_log import KEPT, NoteLog
from spyctl.timing.notes import Note
from tests.support.clock import WALL_NS, FakeClock


def test_notes_are_stamped_told_and_counted() -> None:
    told: list[Note] = []
    notes = NoteLog(FakeClock(), told.append)
    notes.info("fine")
    notes.warn("look here")
    assert told == list(notes.recent) == [Note(WALL_NS, "fine", "info"), Note(WALL_NS, "look here", "warning")]
    assert notes.warnings == 1


def test_only_the_last_notes_are_kept_and_all_warnings_are_counted() -> None:
    notes = NoteLog(FakeClock())
    for n in range(3 * KEPT):
        notes.warn(f"warning {n}")
    assert [note.text for note in notes.recent] == [f"warning {n}" for n in range(2 * KEPT, 3 * KEPT)]
    assert notes.warnings == 3 * KEPT
