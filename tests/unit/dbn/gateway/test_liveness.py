"""When a feed came up, and when it last said anything."""

from spyctl.dbn.gateway.liveness import Liveness
from tests.support.clock import WALL_NS, FakeClock


def test_it_notes_times_of_the_clock() -> None:
    clock = FakeClock()
    liveness = Liveness(clock)
    liveness.begin()
    assert (liveness.began_ns, liveness.up_since_ns, liveness.last_frame_ns) == (WALL_NS, None, None)
    liveness.up()
    clock.advance(5)
    liveness.heard()
    assert liveness.up_since_ns is not None
    assert liveness.last_frame_ns == liveness.up_since_ns + 5
