"""How the answers of running replays are shown."""

import asyncio
from typing import Any, cast

import pytest

from spyctl.cli import ctl_run
from spyctl.cli.ctl_run import _event_time, _obeyed, _share, _show, _speed
from spyctl.cli.framework.reporter import Reporter
from spyctl.errors import UnreachableError
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


class Run:
    """A run that answers a command after so many looks at its status, which says whether it searches."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, looks: int, searched: float | None) -> None:
        self.looked = 0
        self._looks = looks
        self._searched = searched
        self._answered = asyncio.Event()
        monkeypatch.setattr(ctl_run, "command", self.command)
        monkeypatch.setattr(ctl_run, "_LOOK_S", 0.002)
        monkeypatch.setattr(ctl_run, "ANSWER_S", 0.02)  # ten looks

    async def command(self, _: object, run: str, words: str, timeout_s: float = 0) -> dict[str, Any]:
        if words == "status":
            self.looked += 1
            if self.looked == self._looks:
                self._answered.set()
            return {"searched": self._searched}
        assert timeout_s > 600
        await self._answered.wait()
        return {"run_id": run}


@pytest.mark.parametrize(("looks", "searched"), [(1, None), (50, 0.5)])
async def test_a_search_is_waited_for_as_long_as_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, looks: int, searched: float | None
) -> None:
    run = Run(monkeypatch, looks, searched)
    assert await _obeyed(cast(Any, None), "3kq7", "next late", Reporter()) == {"run_id": "3kq7"}
    assert run.looked >= looks


async def test_a_run_that_neither_answers_nor_searches_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch, 99, None)
    with pytest.raises(UnreachableError, match="run 3kq7 has not answered"):
        await _obeyed(cast(Any, None), "3kq7", "next late", Reporter())
    assert run.looked == 10


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
