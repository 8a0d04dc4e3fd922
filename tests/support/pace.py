"""Whether a replay kept its speed, on a machine that may be busy with something else."""

from typing import Any

from spyctl.replay.pacing import STALL_NS
from spyctl.timing.instants import SECOND


def assert_speed_kept(summary: dict[str, Any]) -> None:
    """Hold the summary of a replay against itself: no event early, none later than stalls account for.

    Behind by more than ``STALL_NS`` the schedule shifts and the stall is counted, so that the run takes its time
    at this speed, what it stalled, and less than ``STALL_NS`` more, however slow the machine. Exact times are
    proven with a clock moved by hand (``tests/unit/replay/test_pacing.py``).
    """
    least_s = summary["event_s"] / summary["speed_asked"]
    assert least_s > 1.5 * STALL_NS / SECOND, "too short to tell half the speed from a busy machine"
    over_s = summary["paced_s"] - summary["stalled_s"] - least_s
    assert -0.001 <= over_s <= STALL_NS / SECOND
