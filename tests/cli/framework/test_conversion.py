"""Values of options: what is simple is converted as Typer converts it, everything else by Typer."""

import subprocess
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args

import pytest
import typer

from spyctl.cli.app import app
from spyctl.cli.framework.conversion import Conversion
from tests.conftest import Cli

TEXTS = (
    None, "", " ", "x", "0", "1", " 1", "+1", "-1", "1_000", "007", "1.5", "١", "9" * 30, "true", "False", "all",
    "ALL", "stdout", "nats", "auto", "rth", ".", "/etc", "no/such/file", "café\udce9", 5, -5, True, 2.0, ["1"],
)  # fmt: skip


def commands(group: Any, context: Any = None) -> Iterator[tuple[Any, Any]]:
    context = typer.Context(group, parent=context, info_name=group.name)
    yield group, context
    for command in getattr(group, "commands", {}).values():
        yield from commands(command, context)


def parameters() -> Iterator[Any]:
    for command, context in commands(typer.main.get_command(app)):
        for param in command.get_params(context):
            yield pytest.param(context, param, id=f"{context.command_path} {param.opts[-1]}")


def outcome(convert: Any, value: Any, param: Any, context: Any) -> Any:
    try:
        return convert(value, param=param, ctx=context)
    except Exception as error:
        return type(error), str(error)


@pytest.fixture(scope="module")
def unreadable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("values") / "unreadable"
    path.touch(0)
    return path


def test_every_parameter_gets_what_typer_would_have_made_of_its_value(unreadable: Path) -> None:
    seen = 0
    for param_set in parameters():
        context, param = param_set.values
        conversion = param.get_runtime_param
        assert isinstance(conversion, Conversion), param_set.id
        kind = param.type_descriptor.annotation
        choices = [choice for each in (kind, *get_args(kind)) if isinstance(each, type) and issubclass(each, Enum)
                   for choice in each]  # fmt: skip
        values = [*TEXTS, str(unreadable), unreadable, *choices, *(choice.value for choice in choices)]
        for value in values:
            given = (value,) if (param.multiple or param.nargs == -1) and value is not None else value
            expected = outcome(conversion._of_typer().coerce, given, param, context)
            got = outcome(conversion.coerce, given, param, context)
            assert (type(got), got) == (type(expected), expected), (param_set.id, value)
            seen += 1
    assert seen > 5_000


@pytest.mark.parametrize(
    "arguments",
    [
        ["replay", "--help"],
        ["config", "show"],
        ["replay", "-s", "10", "--count", "3", "--data-dir", "x", "--symbol", "ES", "--order", "recv", "--ack", "fast"],
        ["tail", "futures", "--nats-url", "nats://127.0.0.1:1", "--count", "3"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_ordinary_options_load_no_pydantic(environment: dict[str, str], tmp_path: Path, arguments: list[str]) -> None:
    code = f"from spyctl.cli.app import run; run({arguments!r}); import sys; print('pydantic' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "False"


def test_a_wrong_value_is_told_in_typers_words(cli: Cli) -> None:
    assert "--count" in cli("replay", "--count", "0").stderr
    assert "--port" in cli("replay", "--port", "many").stderr
