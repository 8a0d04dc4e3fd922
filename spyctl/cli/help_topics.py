"""``spyctl help``: pages that belong to no single command, and the page of any command."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import fields
from textwrap import wrap
from typing import Annotated, Any

import typer

from spyctl.cli.framework.help_page import OUTPUT, default_text, page_width
from spyctl.cli.framework.settings import options, user_file
from spyctl.cli.framework.streams import write
from spyctl.cli.options import AUTHENTICATION, DESTINATION
from spyctl.errors import ExitCode, UsageError, path_text
from spyctl.terminal.tables import glossary

EXIT_CODES = (
    (ExitCode.OK, "done, nothing missing", "spyctl replay --speed max"),
    (ExitCode.FAILED, "failed: nothing could be read, or --strict found damage", "spyctl replay --strict (a cut file)"),
    (ExitCode.USAGE, "usage: a wrong option, or options that contradict each other", "spyctl replay --speed -1"),
    (
        ExitCode.INCOMPLETE,
        "finished, but late, rejected, reordered or dropped events, gaps not filled, or a file cut short or damaged",
        "spyctl replay (a cut file)",
    ),
    (
        ExitCode.KEY,
        "key or entitlement: no key, refused, a plan without the data, a key that another process uses",
        "spyctl live (no POLYGON_API_KEY)",
    ),
    (
        ExitCode.NATS,
        "NATS: unreachable, without JetStream, a stream that does not fit or is in use, too little space",
        "spyctl replay --nats-url nats://127.0.0.1:1",
    ),
    (ExitCode.NO_DATA, "no such data: folder, date, schema, range or run", "spyctl replay --date 1999-01-04"),
    (
        ExitCode.INTERRUPTED,
        "Ctrl-C: the first waits for acks and prints the summary, the second exits at once",
        "spyctl tail, then Ctrl-C",
    ),
    (ExitCode.TERMINATED, "SIGTERM or SIGHUP, the same way", "timeout 5 spyctl live --sim"),
)
_ABOUT_CONNECTIONS = (
    "replay, live, tail, runs and probe use the NATS servers of --nats-url or NATS_URL. Where none is named they try "
    "localhost:4222; where nothing answers there, all but live on the real feed use an embedded server: one for all "
    "commands, on loopback, stopped with its last user. A secret is read from a file or a variable, never from the "
    "command line."
)
_ABOUT_OUTPUT = (
    "Data goes to stdout: tables, events, the summary. Plans, screens, progress, notes and errors go to stderr. On a "
    "terminal replay and live draw a screen; elsewhere, and with --plain or in CI, they print a line every ten seconds."
    " A command with --json that fails before it has written its document writes its error, with what to try."
)
_VARIABLES = (
    ("POLYGON_API_KEY", "The key for Massive; MASSIVE_API_KEY works too. No option takes it."),
    ("DATABENTO_API_KEY", "The key for spyctl fetch. No option takes it."),
    ("NATS_PASSWORD", "The password of --user, without --password-file."),
    ("NATS_TOKEN", "A token, without --token-file."),
    ("SPYCTL_CONFIG", "The user's settings file instead of ~/.config/spyctl/config.toml."),
    ("SPYCTL_IMPL", "Who writes events: auto (default), compiled or numpy; the bytes are the same."),
    ("HTTPS_PROXY", "Proxy for the vendors, except hosts in NO_PROXY."),
    ("NO_COLOR", "Set to anything: no colours. FORCE_COLOR: colours without a terminal too."),
    ("CI", "Set to anything: no live display, plain lines instead."),
)


def complete_topics(ctx: Any, incomplete: str) -> list[str]:
    """Offer the pages and the commands, or behind the name of a group its commands."""
    group, words = ctx.find_root().command, ctx.params.get("topic") or []
    for word in words:
        group = getattr(group, "commands", {}).get(word)
    names = [*(_PAGES if not words else ()), *getattr(group, "commands", {})]
    return [name for name in names if name.startswith(incomplete)]


def help_topic(
    context: typer.Context,
    topic: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TOPIC",
            help="connections, output, environment, exit-codes, events, or a command.",
            autocompletion=complete_topics,
        ),
    ] = None,
) -> int:
    """Show a help page: a topic, or a command.

    spyctl help connections
    spyctl help exit-codes
    spyctl help replay
    """
    words = topic or []
    root = context.find_root()
    if len(words) == 1 and words[0] in _PAGES:
        for line in _PAGES[words[0]](root.command):
            write(f" {line}".rstrip())
    else:
        write(_command_page(words, root))
    return ExitCode.OK


def _command_page(words: list[str], root: Any) -> str:
    command: Any = root.command
    context: Any = root
    for word in words:
        command = getattr(command, "commands", {}).get(word)
        if command is None:
            raise UsageError(f"there is no page {' '.join(words)!r}", f"one of {', '.join(_PAGES)}, or a command")
        context = command.make_context(word, [], parent=context, resilient_parsing=True)
    return str(command.get_help(context))


def _connections(group: Any) -> Iterator[str]:
    yield from wrap(_ABOUT_CONNECTIONS, page_width() - 2)
    yield ""
    replay = group.commands["replay"]
    yield from _explained(replay, DESTINATION, {"sink", "raw", "ack", "force"})
    yield ""
    yield from _explained(replay, AUTHENTICATION)


def _output(group: Any) -> Iterator[str]:
    yield from wrap(_ABOUT_OUTPUT, page_width() - 2)
    yield ""
    yield from _explained(group.commands["live"], OUTPUT, {"brief_help", "help"})
    yield ""
    yield "NO_COLOR, FORCE_COLOR, CI and TERM=dumb are respected."


def _explained(command: Any, panel: str, without: Collection[str] = ()) -> Iterator[str]:
    # The options of a panel with their variables.
    members = [
        param
        for param in command.params
        if getattr(param, "rich_help_panel", None) == panel and param.name not in without
    ]
    rows = [(", ".join(param.opts), f"{param.help}{f' ({param.envvar})' if param.envvar else ''}") for param in members]
    yield from glossary(rows, page_width() - 2)


def _environment(group: Any) -> Iterator[str]:
    yield "Precedence: flag > environment > ./spyctl.toml > user config > default."
    yield f"User config: {path_text(user_file())}"
    yield ""
    rows: dict[str, tuple[str, str]] = {}
    for option in options(group):
        shown = default_text(option.param)
        text = f"--{option.name}{f' [{shown}]' if shown else ''}: {option.param.help or ''}"
        rows.setdefault(option.param.envvar, (option.param.envvar, text))
    yield from glossary([*_VARIABLES, *sorted(rows.values())], page_width() - 2)


def _exit_codes(group: Any) -> Iterator[str]:
    rows = [(str(int(code)), f"{meaning}. Example: {example}") for code, meaning, example in EXIT_CODES]
    yield from glossary(rows, page_width() - 2)
    yield ""
    yield "130 and 143 win over 3; complete and stopped_by in the summary tell the rest."


def _events(group: Any) -> Iterator[str]:
    from spyctl.market.subjects import KINDS

    yield "One JSON object per message, keys in this order. JSON Schema: spyctl events."
    yield ""
    for kind in KINDS:
        names = ", ".join(field.name for field in fields(kind.event_type))
        yield f"{kind.event_type.__name__}  {kind.subject}  {kind.schema_id}"
        yield from (f"  {line}" for line in wrap(names, page_width() - 4))


_PAGES: dict[str, Callable[[Any], Iterator[str]]] = {
    "connections": _connections,
    "output": _output,
    "environment": _environment,
    "exit-codes": _exit_codes,
    "events": _events,
}
