"""``spyctl help``: pages that belong to no single command, and the page of any command."""

from collections.abc import Callable, Iterator
from textwrap import wrap
from typing import Annotated, Any

import typer

from spyctl.cli.framework.help_page import page_width
from spyctl.cli.framework.settings import options, user_file
from spyctl.cli.framework.talk import write
from spyctl.errors import ExitCode, UsageError

EXIT_CODES = (
    (ExitCode.OK, "done, nothing to complain about", "spyctl replay --speed max"),
    (ExitCode.FAILED, "failed: nothing could be read, or --strict met damage", "spyctl replay --strict (a cut file)"),
    (ExitCode.USAGE, "usage: a wrong option, or options that contradict each other", "spyctl replay --speed -1"),
    (
        ExitCode.INCOMPLETE,
        "finished, but late, rejected, reordered or dropped events, gaps, or a file cut short or damaged",
        "spyctl replay (a cut file)",
    ),
    (
        ExitCode.KEY,
        "key or entitlement: none, refused, a plan that lacks the data, a key that another process uses",
        "spyctl live (no POLYGON_API_KEY)",
    ),
    (
        ExitCode.NATS,
        "NATS: unreachable, without JetStream, a stream that does not fit or is in use, too little room",
        "spyctl replay --nats-url nats://127.0.0.1:1",
    ),
    (ExitCode.NO_DATA, "no such data: folder, date, schema or range", "spyctl replay --date 1999-01-04"),
    (
        ExitCode.INTERRUPTED,
        "Ctrl-C: the first drains what is in flight and sums up, the second leaves at once",
        "spyctl tail, then Ctrl-C",
    ),
    (ExitCode.TERMINATED, "SIGTERM, likewise", "timeout 5 spyctl live --sim"),
)
_VARIABLES = (
    ("POLYGON_API_KEY", "The key for Massive; MASSIVE_API_KEY will do as well. No option takes it."),
    ("DATABENTO_API_KEY", "The key for spyctl fetch. No option takes it."),
    ("NATS_PASSWORD", "The password of --user, where --password-file is not given."),
    ("NATS_TOKEN", "A token, where --token-file is not given."),
    ("SPYCTL_CONFIG", "Another place for the user's settings than ~/.config/spyctl/config.toml."),
    ("NO_COLOR", "Set to anything: no colours. FORCE_COLOR: colours also off a terminal."),
    ("CI", "Set to anything: no live display, plain lines instead."),
)


def help_topic(
    context: typer.Context,
    topic: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TOPIC]",
            help="environment, exit-codes, events, or a command.",
            autocompletion=lambda incomplete: [
                one for one in ("environment", "exit-codes", "events") if one.startswith(incomplete)
            ],
        ),
    ] = None,
) -> int:
    """Show a page: environment, exit-codes, events, or that of a command.

    spyctl help environment
    spyctl help exit-codes
    spyctl help replay
    """
    root = context.find_root()
    pages: dict[str, Callable[[Any], Iterator[str]]] = {
        "environment": _environment,
        "exit-codes": _exit_codes,
        "events": _events,
    }
    words = topic or []
    if len(words) == 1 and words[0] in pages:
        for line in pages[words[0]](root.command):
            write(f" {line}".rstrip())
        return ExitCode.OK
    command: Any = root.command
    found = root
    for word in words:
        command = getattr(command, "commands", {}).get(word)
        if command is None:
            raise UsageError(f"there is no page {' '.join(words)!r}", f"one of {', '.join(pages)}, or a command")
        found = command.make_context(word, [], parent=found, resilient_parsing=True)
    write(command.get_help(found))
    return ExitCode.OK


def _environment(group: Any) -> Iterator[str]:
    from spyctl.paths import path_text

    yield "A flag goes before the environment, that before ./spyctl.toml, that before the"
    yield f"user's file ({path_text(user_file())}), that before the default."
    yield ""
    found: dict[str, tuple[str, str, list[str]]] = {}
    for option in options(group):
        default = option.param.default
        plain = "" if default in (None, False, "") else f" [{default}]"
        entry = found.setdefault(option.param.envvar, (f"--{option.name}{plain}", option.param.help or "", []))
        entry[2].append(option.command)
    rows = [(name, f"{option}: {words}") for name, (option, words, _) in sorted(found.items())]
    yield from _columns([*_VARIABLES, *rows])


def _exit_codes(group: Any) -> Iterator[str]:
    yield from _columns([(str(int(code)), f"{words}. As: {example}") for code, words, example in EXIT_CODES])
    yield ""
    yield "130 and 143 go before 3; complete and stopped_by of the summary tell the rest."


def _events(group: Any) -> Iterator[str]:
    from dataclasses import fields

    from spyctl.market.subjects import KINDS

    yield "One JSON object a message, its keys in this order; spyctl events TYPE prints the JSON Schema."
    yield ""
    for kind in KINDS:
        yield f"{kind.event_type.__name__}  {kind.subject}  {kind.schema_id}"
        yield from (
            f"  {line}" for line in wrap(", ".join(one.name for one in fields(kind.event_type)), page_width() - 4)
        )


def _columns(rows: list[tuple[str, str]]) -> Iterator[str]:
    first = max(len(name) for name, _ in rows) + 2
    for name, words in rows:
        for i, line in enumerate(wrap(words, page_width() - first - 2)):
            yield f"{name if i == 0 else '':<{first}}{line}"
