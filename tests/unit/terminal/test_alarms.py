"""Alarms: the limits, and that the page about the screens states them."""

import re
from pathlib import Path

import pytest

from spyctl.terminal import alarms
from spyctl.terminal.alarms import Alarm, Limit

PAGE = Path(__file__).parents[3] / "docs" / "screens.md"
LIMIT = Limit(100, 1_000, ("slow", "very slow"))


@pytest.mark.parametrize(
    ("value", "alarm"),
    [
        (None, Alarm()), (99.9, Alarm()), (100, Alarm("yellow", "slow")), (999, Alarm("yellow", "slow")),
        (1_000, Alarm("red", "very slow")),
    ],
)  # fmt: skip
def test_a_value_is_fine_worth_a_look_or_wrong(value: float | None, alarm: Alarm) -> None:
    assert LIMIT.alarm(value) == alarm


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("ACK_MS", "ms"), ("ARRIVAL_MS", "ms"), ("BACKLOG", "%"), ("CONSUMER_S", "s"), ("BEHIND_S", "s"),
        ("WAITING_S", "s"), ("STALLED_S", "s"),
    ],
)  # fmt: skip
def test_the_page_about_the_screens_states_each_limit(name: str, unit: str) -> None:
    limit: Limit = getattr(alarms, name)
    yellow, red = (f"{value * (100 if unit == '%' else 1):,g} {unit}" for value in (limit.yellow, limit.red))
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    assert any(re.search(rf"\| {yellow} \| {red} \|", row) and limit.words[0] in row for row in rows), (yellow, red)
