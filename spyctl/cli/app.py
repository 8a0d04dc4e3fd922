"""The ``spyctl`` program: its commands, and the one place where an error becomes text and an exit code."""

import os
import sys
from difflib import get_close_matches
from typing import Annotated, Any

import typer

from spyctl import __version__
from spyctl.bus.checkpoint import LAST_RUN
from spyctl.cli import (
    config,
    discover,
    events,
    fetch,
    help_topics,
    live,
    probe,
    replay,
    sample,
    server,
    tail,
    time_range,
)
from spyctl.cli.framework import settings
from spyctl.cli.framework.command import Command, Group, NatsCommand
from spyctl.cli.framework.remedies import remedy_for
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.framework.streams import drop, prepare_streams, write
from spyctl.errors import ExitCode, SpyctlError

EPILOG = """\
--version   --help        exit codes: 0 ok  1 failed  2 usage  3 incomplete
                          4 key or plan  5 NATS  6 no such data  130 Ctrl-C
completion of commands, dates, runs, …: spyctl --install-completion
"""
BRING, LOOK, SET_UP = "Bring data in", "Look", "Check and set up"
_COMPLETING = "_SPYCTL_COMPLETE"
_LIBRARIES = ("nats-py", "databento-dbn", "polygon-api-client", "websockets", "numpy", "orjson", "rich", "typer")

# Typer carries its own click; this is the base of its errors, whichever copy it uses.
_ClickError: type[Exception] = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="spyctl",
    cls=Group,
    invoke_without_command=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog=EPILOG,
)


def _version(value: bool) -> None:
    if not value:
        return
    import platform
    import subprocess
    from contextlib import suppress
    from importlib.metadata import PackageNotFoundError, version

    write(f"spyctl {__version__}")
    found = {"python": platform.python_version()}
    with suppress(SpyctlError, OSError):
        from spyctl.bus.embedded import find_nats_server

        said = subprocess.run([find_nats_server(), "--version"], capture_output=True, text=True, check=False).stdout
        found["nats-server"] = said.strip().rpartition("v")[2] or "?"
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    for name, text in found.items():
        write(f"{name} {text}")
    raise typer.Exit


@app.callback()
def spyctl(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the versions and exit.")
    ] = False,
) -> None:
    """SPY and ES market data onto NATS JetStream: every event, once, in order.

    spyctl replay --date 2025-12-16 --speed 10    a day at ten times real time
    spyctl live --sim                             the live side, no key needed
    spyctl tail futures.trades                    watch the stream
    """
    if context.invoked_subcommand is None:
        write(context.get_help())


def _add(name: str, function: Any, panel: str, short: str, cls: type[Command] = Command) -> None:
    app.command(name, cls=cls, rich_help_panel=panel, short_help=short)(function)


_add("live", live.live, BRING, "SPY trades, quotes and 0DTE option trades from Massive", NatsCommand)
_add("replay", replay.replay, BRING, "ES trades and MBP-10 from Databento files, at any speed", NatsCommand)
_add("fetch", fetch.fetch, BRING, "download missing days from Databento, price first")
_add("discover", discover.discover, LOOK, "what the data folder holds, one row a file")
_add("time-range", time_range.time_range, LOOK, "exact first and last event of a day")
_add("tail", tail.tail, LOOK, "follow the stream, one line an event", NatsCommand)
_add("events", events.events, LOOK, "the JSON Schema of each event type")
_add("probe", probe.probe, SET_UP, "key, entitlements, NATS, stream, data: what works", NatsCommand)
app.add_typer(
    server.app, name="server", rich_help_panel=SET_UP, short_help="the embedded NATS server: run, status, reset"
)
_add("sample", sample.sample, SET_UP, "write synthetic days to try things on")
app.add_typer(
    config.app, name="config", rich_help_panel=SET_UP, short_help="the settings in force and where each comes from"
)
_add("help", help_topics.help_topic, SET_UP, "pages: environment, exit-codes, events")


def run(arguments: list[str] | None = None) -> int:
    """Run one command line and return its exit code; never raises, whatever happens."""
    prepare_streams()
    talk = Reporter()
    arguments = _with_value(sys.argv[1:] if arguments is None else arguments, "--resume", LAST_RUN)
    talk.as_json, talk.debug = "--log-json" in arguments, "--debug" in arguments  # already while they are read
    try:
        command: Any = typer.main.get_command(app)
        if _COMPLETING in os.environ:
            command.main(prog_name="spyctl")  # answers the shell, and ends the process
        code = _invoke(command, arguments, talk)
        sys.stdout.flush()
        return code
    except SpyctlError as error:
        talk.error(error.message, remedy_for(error))
        return error.exit_code
    except _ClickError as error:
        talk.error(*_usage(error))
        return ExitCode.USAGE
    except (typer.Abort, KeyboardInterrupt):
        talk.line()
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        drop(sys.stdout)
        return ExitCode.OK
    except OSError as error:
        where = error.filename or "standard output"
        _trace(talk)
        talk.error(f"{where}: {error.strerror or error}", "look at the path, its rights and the free space")
        return ExitCode.FAILED
    except Exception as error:  # a defect of ours: a person gets a sentence, and a traceback where asked for
        _trace(talk)
        talk.error(
            settings.without_secrets(f"this should not happen: {type(error).__name__}: {error}"),
            "the same command with --debug, and report what it prints",
        )
        return ExitCode.FAILED


def _invoke(command: Any, arguments: list[str], talk: Reporter) -> int:
    found = settings.load(command)
    for problem in found.problems:
        talk.warn(problem)
    try:
        with command.make_context("spyctl", arguments, obj=talk, default_map=found.defaults) as context:
            return int(command.invoke(context) or 0)
    except typer.Exit as end:  # --help and --version
        return end.exit_code


def _trace(talk: Reporter) -> None:
    if talk.debug:
        import traceback

        talk.line(settings.without_secrets(traceback.format_exc()).rstrip())


def _with_value(arguments: list[str], option: str, default: str) -> list[str]:
    # Typer knows no option whose value may be left out.
    found = list(arguments)
    for i, argument in enumerate(arguments):
        if argument == option and (i + 1 == len(arguments) or arguments[i + 1].startswith("-")):
            found[i] = f"{option}={default}"
    return found


def _usage(error: Any) -> tuple[str, str]:
    # What is wrong with the command line, and what was probably meant.
    context: Any = getattr(error, "ctx", None)
    where = context.command_path if context is not None else "spyctl"
    message = error.format_message()
    option = getattr(error, "option_name", None)
    if context is not None and option is not None and hasattr(error, "possibilities"):
        known = [name for param in context.command.get_params(context) for name in param.opts]
        close = get_close_matches(option, known, 1)
        return f"{where} has no option {option}", f"{where} {close[0]}" if close else f"{where} --help"
    if context is not None and message.startswith("No such command"):
        word = message.split("'")[1]
        close = get_close_matches(word, list(context.command.commands), 1)
        return f"{where} has no command {word!r}", f"{where} {close[0]}" if close else f"{where} --help"
    text = " ".join(message.split())
    return text[:1].lower() + text[1:].rstrip("."), f"{where} --help"


def main() -> None:
    """Be the console script ``spyctl``."""
    sys.exit(run())
