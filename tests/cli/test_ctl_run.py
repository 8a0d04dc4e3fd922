"""How the answers of running replays are shown."""

import pytest

from spyctl.cli.ctl_run import _event_time, _share, _show, _speed
from tests.support.records import SECOND, T0

STATUS = {
    "run_id": "3kq7", "state": "paused", "event_ns": T0, "speed": 0, "segment": 2, "published": 1_234, "acked": 1_230,
    "waiting_for": None, "first_ns": T0 - 10 * SECOND, "last_ns": T0 + 30 * SECOND,
}  # fmt: skip


def test_a_status_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    _show(STATUS, as_json=False)
    _show(STATUS | {"waiting_for": "consumer lake, 700 behind", "speed": 2.5}, as_json=False)
    first, second = capsys.readouterr().out.splitlines()
    assert first == ("run 3kq7   paused   09:30:00.000 New York   max   segment 2   published 1,234   acked 1,230")
    assert second.endswith("acked 1,230   waiting for consumer lake, 700 behind")
    assert "   2.5×   " in second


@pytest.mark.parametrize(
    ("event_ns", "share"), [(T0, 0.25), (T0 - 60 * SECOND, 0.0), (T0 + 60 * SECOND, 1.0), (T0 + 30 * SECOND, 1.0)]
)
def test_how_much_is_done(event_ns: int, share: float) -> None:
    assert _share(STATUS | {"event_ns": event_ns}) == share


def test_a_plan_without_length_is_done() -> None:
    assert _share(STATUS | {"first_ns": T0, "last_ns": T0}) == 1.0


def test_times_of_another_day_have_their_date() -> None:
    assert _event_time(STATUS | {"event_ns": T0 + 86_400 * SECOND}) == "12-17 09:30:00.000"
    assert _speed(STATUS) == "max"
