"""Signals: the first asks to stop, the second ends at once."""

import asyncio
import io
import os
import signal

import pytest

from spyctl.cli.framework import signals
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.framework.signals import Interruption
from spyctl.errors import ExitCode
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
def handlers_removed() -> object:
    yield
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


async def test_the_first_signal_cancels_the_task_that_asked() -> None:
    async def work() -> Interruption:
        interruption = Interruption(Reporter(io.StringIO()))
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return interruption
        raise AssertionError

    interruption = await asyncio.create_task(work())
    assert interruption.code is ExitCode.TERMINATED


@pytest.mark.parametrize(
    ("number", "name", "code"),
    [
        (signal.SIGINT, "Ctrl-C", ExitCode.INTERRUPTED), (signal.SIGTERM, "SIGTERM", ExitCode.TERMINATED),
        (signal.SIGHUP, "SIGHUP", ExitCode.TERMINATED),
    ],
)  # fmt: skip
async def test_a_receiver_is_told_the_name_and_the_user_how_much_is_missing(
    number: signal.Signals, name: str, code: ExitCode
) -> None:
    names: list[str] = []
    said = io.StringIO()
    interruption = Interruption(Reporter(said))
    interruption.hand_to(names.append, lambda: 1_234)
    os.kill(os.getpid(), number)
    await eventually(lambda: names == [name])
    assert interruption.code is code
    assert said.getvalue() == f"\nstopping: 1,234 acks to come ({name} again leaves at once)\n"


@pytest.mark.parametrize(
    ("missing", "text"),
    [(1_234, "! left at once: 1,234 acks still missing\n"), (0, "left at once: nothing was in flight\n")],
)
async def test_the_second_signal_gives_the_screen_back_and_ends_at_once(
    monkeypatch: pytest.MonkeyPatch, missing: int, text: str
) -> None:
    codes: list[int] = []
    given_back: list[str] = []
    monkeypatch.setattr(signals.os, "_exit", codes.append)
    said = io.StringIO()
    reporter = Reporter(said)
    interruption = Interruption(reporter)
    interruption.hand_to(lambda _: None, lambda: missing)
    with reporter.held(lambda: given_back.append(said.getvalue())):
        os.kill(os.getpid(), signal.SIGINT)
        await eventually(lambda: interruption.code is not None)
        os.kill(os.getpid(), signal.SIGTERM)
        await eventually(lambda: codes == [ExitCode.TERMINATED])
    assert given_back == [""]  # once, and before anything is said
    assert said.getvalue().endswith(text)


async def test_a_hang_up_that_is_ignored_stays_so() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    Interruption(Reporter(io.StringIO()))
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
