"""Options of a replay that are choices, and those that contradict each other."""

import pytest

from spyctl.bus.acks.mode import AckMode
from spyctl.cli.replay_options import OrderKey, SinkKind
from tests.conftest import Cli

CHOICES = [("--order", OrderKey), ("--sink", SinkKind), ("--ack", AckMode)]


@pytest.mark.parametrize(("option", "choices"), CHOICES)
def test_a_choice_that_does_not_exist_is_named_with_those_that_do(cli: Cli, option: str, choices: type) -> None:
    result = cli("replay", option, "nonsense")
    assert result.returncode == 2
    assert f"error: {option}: 'nonsense' is not one of" in result.stderr
    for choice in choices:  # type: ignore[attr-defined]
        assert f"'{choice}'" in result.stderr
    assert f"try: {option} {next(iter(choices))}" in result.stderr  # type: ignore[call-overload]


def test_a_choice_from_the_environment_is_named_by_its_variable(cli: Cli) -> None:
    result = cli("replay", REPLAY_ORDER="nonsense")
    assert result.returncode == 2
    assert "error: REPLAY_ORDER: 'nonsense' is not one of" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--resume", "--sink", "stdout"), "--resume needs NATS"),
        (("--verify", "--sink", "stdout"), "--verify needs NATS"),
        (("--store-mode", "fast", "--sink", "stdout"), "--store-mode fast needs NATS"),
        (("--store-mode", "fast"), "--store-mode fast is for rehearsals"),
        (("--trading-day", "2025-12-16", "--date", "2025-12-16"), "--trading-day and --date exclude each other"),
    ],
)
def test_options_that_contradict_each_other_are_refused(cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    result = cli("replay", *arguments)
    assert result.returncode == 2
    assert message in result.stderr


def test_a_date_of_the_environment_gives_way_to_a_trading_day(cli: Cli) -> None:
    result = cli("replay", "--trading-day", "2025-12-16", "--dry-run", REPLAY_DATE="2025-12-15")
    assert "exclude each other" not in result.stderr
    assert result.returncode == 6  # there is no data, which is the next thing to look for
