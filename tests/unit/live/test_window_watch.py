"""Notes about a strike window."""

from dataclasses import replace

from spyctl.live.window_watch import WindowWatch
from tests.support.live_screen import busy

WINDOW = replace(busy().window, strikes=list(range(675, 686)), added={}, leaving={})


def texts(watch: WindowWatch) -> list[str]:
    return [note.text for note in watch.notes]


def test_a_window_that_moves_is_noted_with_what_came_and_what_goes() -> None:
    watch = WindowWatch()
    watch.look(replace(WINDOW, strikes=[]), 0)
    watch.look(WINDOW, 1)
    watch.look(WINDOW, 2)
    watch.look(replace(WINDOW, strikes=list(range(676, 687)), leaving={675: 29.6}), 3)
    assert texts(watch) == ["window moved to 676 to 686: 686 added, 675 leaving in 30 s"]
    assert [note.ns for note in watch.notes] == [3]


def test_contracts_that_have_left_are_noted_and_those_that_came_back_are_not() -> None:
    watch = WindowWatch()
    moved = replace(WINDOW, strikes=list(range(677, 688)), leaving={675: 1.0, 676: 1.0})
    watch.look(moved, 0)
    watch.look(replace(moved, strikes=list(range(676, 687)), leaving={675: 0.5}), 1)
    watch.look(replace(moved, strikes=list(range(676, 687)), leaving={}), 2)
    assert texts(watch)[-2:] == [
        "window moved to 676 to 686: 676 added", "strike 675 left: no longer subscribed",
    ]  # fmt: skip


def test_many_strikes_are_written_by_their_ends() -> None:
    watch = WindowWatch()
    watch.look(WINDOW, 0)
    watch.look(replace(WINDOW, strikes=list(range(680, 691)), leaving=dict.fromkeys(range(675, 680), 30.0)), 1)
    assert texts(watch)[-1] == "window moved to 680 to 690: 686 to 690 added, 675 to 679 leaving in 30 s"
