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
    for text in ("POLYGON_API_KEY", "REPLAY_SPEED           --speed [1]", "SPYCTL_UNDERLYING", "NO_COLOR"):
        assert text in page
    assert max(map(len, page.splitlines())) <= 80


def test_connections_and_output_are_explained_once_for_all_commands(cli: Cli) -> None:
    connections, output = cli("help", "connections").stdout, cli("help", "output").stdout
    for text in ("embedded server", "--nats-url", "--token-file", "(NATS_TOKEN_FILE)", "--tls-key"):
        assert text in connections
    for text in ("stdout", "--log-json", "(SPYCTL_LOG_JSON)", "--metrics", "NO_COLOR"):
        assert text in output
    assert max(map(len, [*connections.splitlines(), *output.splitlines()])) <= 80


def test_the_short_help_is_shorter_than_the_whole(cli: Cli) -> None:
    short, whole = cli("replay", "-h"), cli("replay", "--help")
    assert (short.returncode, whole.returncode) == (0, 0)
    assert "--tls-key" not in short.stdout
    assert "REPLAY_SPEED" not in short.stdout
    assert "--tls-key" in whole.stdout
    assert "REPLAY_SPEED=1" in whole.stdout


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
    assert "one of connections, output, environment, exit-codes, events, or a command" in result.stderr
