"""The ``spyctl`` program: its commands, and the one place where an error becomes text and an exit code."""

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from spyctl import __version__
from spyctl.cli import discover, events, fetch, live, probe, replay, sample, server, tail, time_range
from spyctl.cli.options import takes_access
from spyctl.cli.talk import Talk, drop_stdout, prepare_streams
from spyctl.errors import ExitCode, SpyctlError

EPILOG = (
    "exit codes: 0 ok · 1 failed · 2 usage · 3 incomplete · 4 key or plan · 5 NATS · 6 no such data · "
    "130 Ctrl-C · 143 SIGTERM"
)
BRING, LOOK, SET_UP = "Bring data in", "Look", "Check and set up"


# Typer carries its own click; this is the base of its errors, whichever copy it uses.
_ClickError: type[Exception] = typer.BadParameter.__mro__[2]


class _InOrder(TyperGroup):
    # Commands are shown by what they are for, not by the alphabet.
    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)


app = typer.Typer(
    name="spyctl",
    cls=_InOrder,
    invoke_without_command=True,
    add_completion=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog=EPILOG,
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"spyctl {__version__}")
        raise typer.Exit


@app.callback()
def spyctl(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """SPY and ES market data onto NATS JetStream: every event, once, in order.

    [dim]spyctl replay --date 2025-12-16 --speed 10[/]    a day at ten times real time

    [dim]spyctl live --sim[/]                             the live side, no key needed

    [dim]spyctl tail futures.trades[/]                    watch the stream
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


app.command("live", rich_help_panel=BRING)(takes_access(live.live))
app.command("replay", rich_help_panel=BRING)(takes_access(replay.replay))
app.command("fetch", rich_help_panel=BRING)(fetch.fetch)
app.command("discover", rich_help_panel=LOOK)(discover.discover)
app.command("time-range", rich_help_panel=LOOK)(time_range.time_range)
app.command("tail", rich_help_panel=LOOK)(takes_access(tail.tail))
app.command("events", rich_help_panel=LOOK)(events.events)
app.command("probe", rich_help_panel=SET_UP)(takes_access(probe.probe))
app.add_typer(server.app, name="server", rich_help_panel=SET_UP)
app.command("sample", rich_help_panel=SET_UP)(sample.sample)


def run(arguments: list[str] | None = None) -> int:
    """Run one command line and return its exit code; never raises, whatever happens."""
    prepare_streams()
    talk = Talk()
    command: Any = typer.main.get_command(app)
    arguments = _with_value(sys.argv[1:] if arguments is None else arguments, "--resume", replay.LAST_RUN)
    try:
        result = command.main(arguments, prog_name="spyctl", standalone_mode=False)
        return int(result or 0)
    except SpyctlError as error:
        talk.error(error.message, error.remedy)
        return error.exit_code
    except _ClickError as error:
        context: Any = getattr(error, "ctx", None)
        where = context.command_path if context is not None else "spyctl"
        talk.error(_sentence(error.format_message()), f"{where} --help")  # type: ignore[attr-defined]
        return ExitCode.USAGE
    except (typer.Abort, KeyboardInterrupt):
        talk.line()
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        drop_stdout()
        return ExitCode.OK
    except OSError as error:
        where = error.filename or "standard output"
        talk.error(f"{where}: {error.strerror or error}", "look at the path, its rights and the free space")
        return ExitCode.FAILED


def _with_value(arguments: list[str], option: str, default: str) -> list[str]:
    # Typer knows no option whose value may be left out.
    found = list(arguments)
    for i, argument in enumerate(arguments):
        if argument == option and (i + 1 == len(arguments) or arguments[i + 1].startswith("-")):
            found[i] = f"{option}={default}"
    return found


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text[:1].lower() + text[1:].rstrip(".")


def main() -> None:
    """Be the console script ``spyctl``."""
    sys.exit(run())
