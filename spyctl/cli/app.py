"""The ``spyctl`` program: its commands, and the one place where an error becomes text and an exit code."""

import os
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from spyctl import __version__
from spyctl.bus.checkpoint import LAST_RUN
from spyctl.cli import (
    config,
    convert,
    ctl,
    discover,
    events,
    fetch,
    help_topics,
    live,
    probe,
    record,
    replay,
    runs,
    sample,
    server,
    tail,
    time_range,
)
from spyctl.cli.framework import settings
from spyctl.cli.framework.command import Group, add_command, print_help_page, with_option_groups
from spyctl.cli.framework.home import provide_home
from spyctl.cli.framework.origin import setting_of
from spyctl.cli.framework.remedies import remedy_for
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.framework.streams import drop, prepare_streams, write, written
from spyctl.errors import ExitCode, SpyctlError
from spyctl.terminal.outgoing import safe_line

EPILOG = """\
--version   -h   --help   exit codes: 0 ok  1 failed  2 usage  3 incomplete
                          4 key or plan  5 NATS  6 no such data  130 Ctrl-C
completion of commands, dates, runs, …: spyctl --install-completion
"""
PUBLISH, INSPECT, SET_UP = "Publish and download", "Inspect", "Set up"
_COMPLETING = "_SPYCTL_COMPLETE"
_LIBRARIES = ("nats-py", "databento-dbn", "polygon-api-client", "websockets", "numpy", "orjson", "rich", "typer")

app = typer.Typer(
    name="spyctl",
    cls=Group,
    invoke_without_command=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog=EPILOG,
)


def _print_versions(value: bool) -> None:  # noqa: FBT001 - Typer calls it
    if value:
        write(f"spyctl {__version__}")
        for name, version in _versions():
            write(f"{name} {version}")
        raise typer.Exit


def _versions() -> Iterator[tuple[str, str]]:
    import platform
    import subprocess
    from contextlib import suppress
    from importlib.metadata import PackageNotFoundError, version

    from spyctl.bus.embedded import find_nats_server
    from spyctl.market.kernel import encoder

    yield "python", platform.python_version()
    with suppress(SpyctlError, OSError):
        command = [str(find_nats_server()), "--version"]
        output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        yield "nats-server", output.strip().rpartition("v")[2] or "?"
    name, reason = encoder().name, encoder().reason
    yield "encoder", f"{name} ({reason})" if reason else name
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            yield name, version(name)


def spyctl(
    context: typer.Context,
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_versions, is_eager=True, help="Show the versions and exit.")
    ] = False,
) -> None:
    """SPY and ES market data onto NATS JetStream: every event, once, in order.

    spyctl replay --date 2025-12-16 --speed 10    a day at ten times real time
    spyctl live --sim                             the live side, no key needed
    spyctl tail futures.trades                    watch the stream
    """
    from spyctl.market.kernel import encoder

    encoder()  # a wrong SPYCTL_IMPL is told before anything begins
    print_help_page(context)


app.callback()(with_option_groups(spyctl))
add_command(app, live.live, panel=PUBLISH, short="SPY trades, quotes and 0DTE option trades from Massive")
add_command(app, replay.replay, panel=PUBLISH, short="ES trades and MBP-10 from Databento files, at any speed")
add_command(app, ctl.ctl, panel=PUBLISH, short="pause, step, seek or stop a running replay")
add_command(app, record.record, panel=PUBLISH, short="record the stream onto tapes, one per trading day")
add_command(app, convert.convert, panel=PUBLISH, short="turn tapes into Parquet, CSV or DBN files")
add_command(app, fetch.fetch, panel=PUBLISH, short="download missing days from Databento, price first")
add_command(app, discover.discover, panel=INSPECT, short="what the data folder holds, one row per file")
add_command(app, time_range.time_range, "time-range", panel=INSPECT, short="exact first and last event of a day")
add_command(app, tail.tail, panel=INSPECT, short="follow the stream, one line per event")
add_command(app, runs.runs, panel=INSPECT, short="the runs that the server knows, and how they ended")
add_command(app, events.events, panel=INSPECT, short="the JSON Schema of each event type")
add_command(app, probe.probe, panel=SET_UP, short="check key, entitlements, NATS, stream and data")
app.add_typer(
    server.app,
    name="server",
    rich_help_panel=SET_UP,
    short_help="the embedded NATS server: run, status, credentials, reset",
)
add_command(app, sample.sample, panel=SET_UP, short="write synthetic days to try things on")
app.add_typer(
    config.app, name="config", rich_help_panel=SET_UP, short_help="the settings in force and where each comes from"
)
add_command(
    app,
    help_topics.help_topic,
    "help",
    panel=SET_UP,
    short="pages: connections, output, environment, exit-codes, events",
)


def run(arguments: list[str] | None = None) -> int:
    """Run one command line and return its exit code; never raises, whatever happens."""
    prepare_streams()
    reporter = Reporter()
    if warning := provide_home():
        reporter.warn(warning)
    arguments = _with_value(sys.argv[1:] if arguments is None else arguments, "--resume", LAST_RUN)
    arguments = _with_negatives(arguments, "ctl")
    reporter.as_json, reporter.debug = "--log-json" in arguments, "--debug" in arguments  # already while they are read
    try:
        command: Any = typer.main.get_command(app)
        if _COMPLETING in os.environ:
            command.main(prog_name="spyctl")  # answers the shell, and ends the process
        code = _invoke(command, arguments, reporter)
        sys.stdout.flush()
        return code
    except SpyctlError as error:
        return _fail(reporter, arguments, error.exit_code, error.message, remedy_for(error))
    except TyperException as error:
        return _fail(reporter, arguments, ExitCode.USAGE, *_usage(error, arguments))
    except (typer.Abort, KeyboardInterrupt):
        reporter.line()
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        drop(sys.stdout)
        return ExitCode.OK
    except OSError as error:
        where = error.filename or "standard output"
        _trace(reporter)
        if error.filename is None:
            drop(sys.stdout)  # or Python would complain again while it shuts down
        message = f"{where}: {error.strerror or error}"
        return _fail(
            reporter, arguments, ExitCode.FAILED, message, "check the path, its permissions and the free space"
        )
    except Exception as error:  # a bug of ours: one sentence, and a traceback where asked for
        _trace(reporter)
        message = f"this is a bug: {type(error).__name__}: {error}"
        return _fail(
            reporter,
            arguments,
            ExitCode.FAILED,
            message,
            "run the same command with --debug, and report what it prints",
        )


def _fail(reporter: Reporter, arguments: list[str], code: ExitCode, message: str, remedy: str) -> int:
    # Says what went wrong; where JSON is wanted and nothing was written yet, the error is the document.
    reporter.error(message, remedy)
    if "--json" in arguments and not written():
        import json

        document = {"error": safe_line(message), "try": safe_line(remedy), "exit_code": int(code)}
        write(json.dumps(document, ensure_ascii=False))
    return code


def _invoke(command: Any, arguments: list[str], reporter: Reporter) -> int:
    from_files = settings.load(command)
    settings.learn_secrets(settings.options(command), from_files, arguments)
    for problem in from_files.problems:
        reporter.warn(problem)
    try:
        with command.make_context("spyctl", arguments, obj=reporter, default_map=from_files.defaults) as context:
            return int(command.invoke(context) or 0)
    except typer.Exit as end:  # --help and --version
        return end.exit_code


def _trace(reporter: Reporter) -> None:
    if reporter.debug:
        import traceback

        reporter.line(traceback.format_exc().rstrip())


def _with_value(arguments: list[str], option: str, default: str) -> list[str]:
    # Typer has no options whose value may be left out.
    completed = list(arguments)
    for i, argument in enumerate(arguments):
        if argument == option and (i + 1 == len(arguments) or arguments[i + 1].startswith("-")):
            completed[i] = f"{option}={default}"
    return completed


def _with_negatives(arguments: list[str], command: str) -> list[str]:
    # Typer takes -10s for options: for this command it gets a minus sign instead of the hyphen.
    if command not in arguments:
        return arguments
    return ["−" + each[1:] if len(each) > 1 and each[0] == "-" and each[1].isdigit() else each for each in arguments]


def _usage(error: Any, arguments: list[str]) -> tuple[str, str]:
    # What is wrong with the command line, and what was probably meant.
    context: Any = getattr(error, "ctx", None)
    where = context.command_path if context is not None else "spyctl"
    message = error.format_message()
    option = getattr(error, "option_name", None)
    if context is not None and option is not None and hasattr(error, "possibilities"):
        known = [name for param in context.command.get_params(context) for name in param.opts]
        close = get_close_matches(option, known, 1)
        behind = [name for name, command in _commands(context) if any(option in param.opts for param in command.params)]
        if behind:
            meant = next((word for word in arguments if word in behind), behind[0])
            return f"{where} has no option {option}", f"behind the command: {where} {meant} {option}"
        return f"{where} has no option {option}", f"{where} {close[0]}" if close else f"{where} --help"
    if context is not None and message.startswith("No such command"):
        word = message.split("'")[1]
        close = get_close_matches(word, list(context.command.commands), 1)
        return f"{where} has no command {word!r}", f"{where} {close[0]}" if close else f"{where} --help"
    if context is not None and message.startswith("Got unexpected extra argument"):
        extra = message.rpartition(" (")[2].rstrip(").")
        if extra[:4].isdigit() and any("--date" in param.opts for param in context.command.params):
            return f"{where} takes no argument: {extra}", f"{where} --date {extra}"
    param = getattr(error, "param", None)
    if context is not None and param is not None and getattr(error, "message", None):
        return _wrong_value(context, param, _problem(error))
    return _sentence(message), f"{where} --help"


def _commands(context: Any) -> list[tuple[str, Any]]:
    return list(getattr(context.command, "commands", {}).items())


def _wrong_value(context: Any, param: Any, problem: str) -> tuple[str, str]:
    # What is wrong with the value of an option, named as it was given.
    option = max(param.opts, key=len)
    given = setting_of(context, param) or option
    first_choice = problem.partition("is not one of ")[2].partition(",")[0].strip("'")
    return (
        f"{given}: {problem}",
        f"{option} {first_choice}" if first_choice else f"{context.command_path} --help",
    )


def _problem(error: Any) -> str:
    # What is wrong with a value, with the value itself, which Typer's validator leaves out.
    details: list[dict[str, Any]] = getattr(error.__cause__, "errors", list)()
    if not details:
        return _sentence(error.message)
    value, limits = str(details[0]["input"]), details[0].get("ctx", {})
    match details[0]["type"]:
        case "float_parsing" | "float_type" | "finite_number":
            return f"{value!r} is not a number"
        case "int_parsing" | "int_type" | "int_from_float" | "int_parsing_size":
            return f"{value!r} is not a whole number"
        case "greater_than_equal":
            return f"{value} is less than {limits['ge']:g}"
        case "less_than_equal":
            return f"{value} is more than {limits['le']:g}"
        case _:
            return _sentence(error.message)


def _sentence(text: str) -> str:
    text = " ".join(text.replace("Value error, ", "").split())
    return text[:1].lower() + text[1:].rstrip(".")


def main() -> None:
    """Be the console script ``spyctl``."""
    sys.exit(run())
