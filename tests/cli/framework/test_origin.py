"""Where the value of an option comes from."""

from typing import Annotated, Any

import pytest
import typer

from spyctl.cli.framework.origin import Origin, is_flag, origin_of


@pytest.mark.parametrize(
    ("arguments", "environment", "files", "origin"),
    [
        (["--speed", "1"], {"SPEED": "2"}, {"speed": "3"}, Origin.FLAG),
        ([], {"SPEED": "2"}, {"speed": "3"}, Origin.ENVIRONMENT),
        ([], {}, {"speed": "3"}, Origin.FILE),
        ([], {}, {}, Origin.DEFAULT),
    ],
)
def test_the_first_place_that_sets_an_option_is_its_origin(
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    environment: dict[str, str],
    files: dict[str, str],
    origin: Origin,
) -> None:
    app = typer.Typer(add_completion=False)

    @app.command()
    def play(speed: Annotated[str, typer.Option("--speed", envvar="SPEED")] = "0") -> None:
        pass

    monkeypatch.delenv("SPEED", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    command: Any = typer.main.get_command(app)
    with command.make_context("play", arguments, default_map=files) as context:
        assert origin_of(context, "speed") is origin
        assert is_flag(context, "speed") is (origin is Origin.FLAG)


def test_a_parameter_that_does_not_exist_has_its_default() -> None:
    class Context:
        def get_parameter_source(self, _: str) -> None:
            return None

    assert origin_of(Context(), "nothing") is Origin.DEFAULT
