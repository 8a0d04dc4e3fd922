"""Where a replay is in event time, as the screen shows it."""

import re
from dataclasses import replace
from typing import Any

from spyctl.replay.schedule import Schedule
from spyctl.replay.screen import progress_line
from spyctl.replay.sightings import Trouble
from spyctl.replay.snapshot import ControlNow, Position
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


def strip_of(**now: Any) -> str:
    """The line of the plan from T0 on: 80 columns, in which 100 s have so many cells."""
    schedule = Schedule(T0, T0 + 100 * SECOND, 9, Speed(10.0), now.pop("quiet", ()))
    snapshot = changed(scene=replace(SNAPSHOT.scene, schedule=schedule), position=Position(T0), **now)
    return re.findall("[─╸━┊┄↻╳!▪◆AB]{8,}", lines(snapshot, 80, 24)[3])[0]


def test_the_strip_marks_what_lies_on_the_way_and_what_was_seen_at_its_place() -> None:
    at = [T0 + int(share * 100) * SECOND for share in (0.1, 0.3, 0.5, 0.7, 0.9)]
    troubles = {Trouble.GAP: at[1:2], Trouble.LATE: at[2:3], Trouble.STALL: at[3:4]}
    control = ControlNow(marks=(at[4],), loop=(at[0], at[4] + 5 * SECOND))
    strip = strip_of(rolls=at[0:1], troubles=troubles, control=control)
    cells = len(strip)
    assert {strip.index(sign): sign for sign in "A╳!▪◆B"} == {
        int(share * cells): sign for share, sign in zip((0.1, 0.3, 0.5, 0.7, 0.9, 0.95), "A╳!▪◆B", strict=True)
    }  # the start of the loop lies over the roll
    assert strip_of(rolls=at[0:1]).index("↻") == int(0.1 * cells)


def test_a_quiet_stretch_is_drawn_over_the_cells_that_it_fills() -> None:
    cells = len(strip_of())
    quiet = strip_of(quiet=[(T0 + 25 * SECOND, T0 + 75 * SECOND)])
    assert quiet.count("┄") in (cells // 2 - 1, cells // 2)
    assert strip_of(quiet=[(T0 + 25 * SECOND, T0 + 25 * SECOND + 1)]).count("┄") == 0


def test_all_keys_are_shown_with_the_signs_of_the_strip() -> None:
    page = "\n".join(lines(changed(control=ControlNow(keys=True, all_keys=True)), 120, 35))
    for sign in ("┊ session time", "┄ quiet", "↻ roll", "╳ gap", "! late", "▪ stall", "◆ mark"):
        assert sign in page
