"""The page that --help prints."""

from typing import Annotated, Any

import pytest
import typer

from spyctl.cli.framework.command import add_command, command_group
from spyctl.cli.framework.help_page import OPTIONS, help_page, page_width
from spyctl.cli.framework.reporter import Reporter

LONG = "A text that is far too long for the space beside an option, so that it is folded."


def play(
    context: typer.Context,
    word: Annotated[str, typer.Argument(metavar="[WORD]", help="What to play.")] = "",
    *,
    speed: Annotated[str, typer.Option("--speed", "-s", envvar="SPEED", metavar="X", help="How fast.")] = "1",
    count: Annotated[int, typer.Option("--count", min=1, max=9, help="How many.")] = 3,
    rate: Annotated[float, typer.Option("--rate", help=LONG, rich_help_panel=OPTIONS.seldom)] = 0.0,
    loud: Annotated[bool, typer.Option("--loud", envvar="LOUD", help="Be loud.", rich_help_panel="Sound")] = False,
    name: Annotated[str | None, typer.Option("--a-very-long-name-of-an-option", help="Who.")] = None,
    secret: Annotated[str | None, typer.Option("--secret", hidden=True)] = None,
) -> None:
    """Play a word.

        spyctl play    the default
        KEY=… spyctl play --speed 2 word    faster

    Afterwards it ends.
    """


@pytest.fixture(autouse=True)
def width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FORCE_COLOR", raising=False)


def page(*arguments: str, brief: bool = False) -> list[str]:
    app = command_group("Players.")
    add_command(app, play, short="play a word")
    command: Any = typer.main.get_command(app)
    with command.make_context("x", [], obj=Reporter()) as context:
        if not arguments:
            return help_page(command, context).splitlines()
        member = command.commands[arguments[0]]
        with member.make_context(arguments[0], [], parent=context, resilient_parsing=True) as inner:
            return help_page(member, inner, brief=brief).splitlines()


def test_every_line_fits_the_page() -> None:
    lines = page("play")
    assert max(map(len, lines)) == 80
    assert {len(line) for line in lines if line.startswith(("╭", "│", "╰"))} == {80}


def test_examples_have_their_explanations_in_a_column() -> None:
    lines = page("play")
    assert "   spyctl play                        the default" in lines
    assert "   KEY=… spyctl play --speed 2 word   faster" in lines
    assert " Afterwards it ends." in lines


def test_an_option_shows_variable_default_and_bounds() -> None:
    lines = page("play")
    row = next(line for line in lines if "--speed" in line and line.startswith("│"))
    assert row.startswith("│ -s, --speed X")
    assert row.endswith("SPEED=1 │")
    row = next(line for line in lines if "--count" in line)
    assert "--count N" in row
    assert "How many (1 to 9)." in row
    assert row.endswith("[3] │")
    assert next(line for line in lines if "--loud" in line).endswith("LOUD │")


def test_a_default_of_zero_is_shown() -> None:
    lines = page("play")
    start = next(i for i, line in enumerate(lines) if "--rate X" in line)
    assert any("[0.0]" in line for line in lines[start : start + 3])


def test_panels_are_in_order_and_output_is_last() -> None:
    titles = [line.split()[1] for line in page("play") if line.startswith("╭")]
    assert titles == ["Arguments", "Options", "Sound", "Output"]
    assert "--help" in page("play")[-2]


def test_the_brief_page_has_what_most_need_and_says_where_the_rest_is() -> None:
    lines = page("play", brief=True)
    text = "\n".join(lines)
    assert "--speed" in text
    for seldom in ("--rate", "--debug", "--help │"):
        assert seldom not in text
    assert next(line for line in lines if "--speed X" in line).endswith("[1] │")  # without its variable
    assert lines[-1] == " More: x play --help, spyctl help connections, spyctl help output"


def test_a_long_name_has_a_line_of_its_own_and_hidden_options_none() -> None:
    text = "\n".join(page("play"))
    assert "│ --a-very-long-name-of-an-option TEXT" in text
    assert "--secret" not in text


def test_a_group_lists_its_commands() -> None:
    lines = page()
    assert lines[0] == " Usage: x COMMAND [OPTIONS]"
    assert any(line.startswith("│ play") and "play a word" in line for line in lines)


@pytest.mark.parametrize(("columns", "width"), [("20", 60), ("80", 80), ("300", 100)])
def test_a_page_is_neither_too_narrow_nor_too_wide(monkeypatch: pytest.MonkeyPatch, columns: str, width: int) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert page_width() == width
