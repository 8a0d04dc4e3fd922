"""Where a replay is in event time, as the screen shows it."""

from dataclasses import replace

from spyctl.replay.schedule import Schedule
from spyctl.replay.screen import progress_line
from spyctl.replay.snapshot import Position
from spyctl.timing.clock import Speed
from spyctl.timing.instants import HOUR, SECOND
from tests.support.records import T0
from tests.support.replay_screen import SNAPSHOT, changed, lines


def test_a_plan_of_several_days_has_its_date_with_each_time() -> None:
    scene = replace(SNAPSHOT.scene, schedule=Schedule(T0, T0 + 128 * HOUR, 9, Speed(10.0)))
    for size in ((40, 12), (80, 24), (140, 40)):
        assert "16 Dec 09:31:07.000 New York" in "\n".join(lines(changed(scene=scene), *size))
    quiet = Position(T0, quiet_to_ns=T0 + 24 * HOUR, quiet_left_ns=5 * SECOND)
    assert "quiet to 17 Dec 09:30:00" in lines(changed(scene=scene, position=quiet), 80, 24)[2]
    assert progress_line(changed(scene=scene)).startswith("event 16 Dec 09:31:07 New York")
    assert "Dec 09:31" not in "\n".join(lines(SNAPSHOT, 80, 24))


def test_a_percentage_is_never_ahead_of_what_is_done() -> None:
    assert " 99 %" in "\n".join(lines(changed(position=Position(T0, share=0.9999)), 80, 24))


def test_a_quiet_stretch_says_where_it_ends_and_when() -> None:
    quiet = Position(T0, quiet_to_ns=T0 + HOUR, quiet_left_ns=5 * SECOND, wall_ns=SECOND)
    assert "quiet to 10:30:00, in 5.0 s" in lines(changed(position=quiet), 80, 24)[2]
