"""Events of the last second, and the most in any one."""

from spyctl.timing.instants import SECOND
from spyctl.timing.rolling import RollingSecond


def test_the_peak_is_the_most_in_any_second_wherever_it_begins() -> None:
    second = RollingSecond()
    for at, events in ((0.0, 5), (0.5, 7), (0.9, 1), (1.4, 2), (5.0, 9)):
        second.add(int(at * SECOND), events)
    assert second.peak == 13
    assert [second.at(int(at * SECOND)) for at in (5.0, 5.9, 6.0)] == [9, 9, 0]


def test_now_is_never_more_than_the_peak() -> None:
    second = RollingSecond()
    second.add(0, 100)
    second.add(int(1.2 * SECOND), 100)
    assert (second.at(int(1.3 * SECOND)), second.peak) == (100, 100)
