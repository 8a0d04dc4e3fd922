"""Signals: the first asks to stop, the second ends at once."""

import asyncio
import os
import signal

import pytest

from spyctl.cli.framework import signals
from spyctl.cli.framework.signals import Interruption
from spyctl.errors import ExitCode
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
def handlers_removed() -> object:
    yield
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


async def test_the_first_signal_cancels_the_task_that_asked() -> None:
    async def work() -> Interruption:
        interruption = Interruption()
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return interruption
        raise AssertionError

    interruption = await asyncio.create_task(work())
    assert interruption.code is ExitCode.TERMINATED


async def test_a_receiver_is_told_the_name_instead() -> None:
    names: list[str] = []
    interruption = Interruption()
    interruption.hand_to(names.append)
    os.kill(os.getpid(), signal.SIGINT)
    await eventually(lambda: names == ["Ctrl-C"])
    assert interruption.code is ExitCode.INTERRUPTED


async def test_the_second_signal_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[int] = []
    monkeypatch.setattr(signals.os, "_exit", codes.append)
    interruption = Interruption()
    interruption.hand_to(lambda _: None)
    os.kill(os.getpid(), signal.SIGINT)
    await eventually(lambda: interruption.code is not None)
    os.kill(os.getpid(), signal.SIGTERM)
    await eventually(lambda: codes == [ExitCode.TERMINATED])
