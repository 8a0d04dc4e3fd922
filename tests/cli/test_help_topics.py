"""``spyctl help``: reference pages."""

import pytest

from spyctl.cli.help_topics import EXIT_CODES
from spyctl.errors import ExitCode
from tests.conftest import Cli


def test_every_exit_code_is_explained_with_an_example(cli: Cli) -> None:
    assert {code for code, _, _ in EXIT_CODES} == set(ExitCode)
    page = cli("help", "exit-codes").stdout
    for code, *_ in EXIT_CODES:
        assert f"\n {int(code)} " in f"\n{page}"
    assert "Example: spyctl replay --speed max" in page


def test_the_environment_page_lists_variables_with_options_and_precedence(cli: Cli) -> None:
    page = cli("help", "environment").stdout
    assert "Precedence: flag > environment > ./spyctl.toml > user config > default." in page
    for text in ("POLYGON_API_KEY", "REPLAY_SPEED        --speed [1]", "SPYCTL_UNDERLYING", "NO_COLOR"):
        assert text in page
    assert max(map(len, page.splitlines())) <= 80


def test_the_events_page_lists_every_field(cli: Cli) -> None:
    page = cli("help", "events").stdout
    assert "MBP10  market.futures.mbp10  futures.mbp10.v1" in page
    assert "ts_event_ns, ts_recv_ns, source, feed, from_ns, to_ns" in page
    assert max(map(len, page.splitlines())) <= 80


@pytest.mark.parametrize("words", [("replay",), ("server", "run")])
def test_the_page_of_a_command_is_its_help(cli: Cli, words: tuple[str, ...]) -> None:
    assert cli("help", *words).stdout == cli(*words, "--help").stdout


def test_a_page_that_does_not_exist_names_those_that_do(cli: Cli) -> None:
    result = cli("help", "nonsense")
    assert result.returncode == 2
    assert "there is no page 'nonsense'" in result.stderr
    assert "one of environment, exit-codes, events, or a command" in result.stderr
