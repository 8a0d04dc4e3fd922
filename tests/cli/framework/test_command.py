"""Options that come in groups, and what all commands share."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer

from spyctl.cli.framework.command import add_command, command_group
from spyctl.cli.framework.reporter import Reporter


class Fruit(StrEnum):
    APPLE = "apple"
    PEAR = "pear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Basket:
    size: Annotated[int, typer.Option("--size", "-n", help="How many.")]
    fruit: Annotated[Fruit, typer.Option("--fruit")] = Fruit.APPLE
    names: Annotated[list[str] | None, typer.Option("--name")] = None
    folder: Annotated[Path, typer.Option("--folder")] = Path("here")


class Ran(Exception):  # noqa: N818 - not an error
    """Carries what a command was called with."""


def take(
    context: typer.Context,
    word: Annotated[str, typer.Argument()] = "none",
    *,
    basket: Basket,
    loud: Annotated[bool, typer.Option("--loud")] = False,
) -> int:
    """Take a basket."""
    raise Ran(word, basket, loud, Reporter.of(context))


def without_context(*, loud: Annotated[bool, typer.Option("--loud")] = False) -> int:
    """Take nothing."""
    raise Ran(loud)


@pytest.fixture
def command() -> Any:
    app = command_group("Baskets of fruit.")
    add_command(app, take, short="take one")
    add_command(app, without_context, "help", short="a page")
    add_command(app, without_context, "other")
    return typer.main.get_command(app)


def run(command: Any, *arguments: str) -> tuple[Any, ...]:
    reporter = Reporter()
    with pytest.raises(Ran) as ran, command.make_context("x", list(arguments), obj=reporter) as context:
        command.invoke(context)
    assert reporter in (*ran.value.args, reporter)
    return (*ran.value.args, reporter)


def test_a_group_of_options_arrives_as_one_value(command: Any) -> None:
    word, basket, loud, *_ = run(command, "take", "-n", "3", "--fruit", "pear", "--name", "a", "--name", "b", "red")
    assert (word, loud) == ("red", False)
    assert basket == Basket(size=3, fruit=Fruit.PEAR, names=["a", "b"])
    assert basket.fruit is Fruit.PEAR


def test_defaults_of_a_group_are_those_of_its_fields(command: Any) -> None:
    _, basket, *_ = run(command, "take", "--size", "1")
    assert (basket.fruit, basket.folder) == (Fruit.APPLE, Path("here"))
    assert not basket.names


def test_an_option_without_default_is_required(command: Any) -> None:
    with (
        pytest.raises(typer.BadParameter, match="size"),
        command.make_context("x", ["take"], obj=Reporter()) as context,
    ):
        command.invoke(context)


def test_a_choice_is_checked(command: Any) -> None:
    arguments = ["take", "--size", "1", "--fruit", "plum"]
    with (
        pytest.raises(typer.BadParameter, match="'plum' is not one of 'apple', 'pear'"),
        command.make_context("x", arguments, obj=Reporter()) as context,
    ):
        command.invoke(context)


@pytest.mark.parametrize("arguments", [("-q", "take", "-n", "1"), ("take", "-n", "1", "-q")])
def test_output_options_go_before_and_after_the_command(command: Any, arguments: tuple[str, ...]) -> None:
    *_, reporter = run(command, *arguments)
    assert (reporter.quiet, reporter.verbose) == (True, False)


def test_a_command_needs_no_context_to_have_the_output_options(command: Any) -> None:
    loud, reporter = run(command, "other", "--loud", "--debug")
    assert (loud, reporter.debug) == (True, True)


def test_a_bare_group_prints_its_commands_help_last(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with command.make_context("x", [], obj=Reporter()) as context:
        command.invoke(context)
    page = capsys.readouterr().out
    assert "Baskets of fruit." in page
    assert page.index("take one") < page.index("other") < page.index("a page")


def test_help_of_a_command_is_our_page(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), command.make_context("x", ["take", "--help"], obj=Reporter()) as context:
        command.invoke(context)
    page = capsys.readouterr().out
    assert "Usage: x take" in page
    assert "-n, --size N" in page
    assert "Show tracebacks for unexpected errors." in page
