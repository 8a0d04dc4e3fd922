"""``spyctl tail``: follow the stream, one line an event."""

import sys
from typing import Annotated, Any

import typer

from spyctl.cli.framework import complete
from spyctl.cli.framework.help_page import OUTPUT
from spyctl.cli.options import Embedded, Json, NatsUrl, Port, Prefix, Store, nats_target, talk_of
from spyctl.errors import UsageError

LAST = 10


def tail(
    context: typer.Context,
    subjects: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SUBJECT]…",
            help="futures, options.trades, gaps, …; all unless named.",
            autocompletion=complete.subjects,
        ),
    ] = None,
    start_at: Annotated[
        str | None,
        typer.Option("--from", metavar="PLACE", help="start, new, a sequence, -N (the last N), -5m, a stored time."),
    ] = None,
    until_end: Annotated[bool, typer.Option("--until-end", help="End with what is stored now.")] = False,
    count: Annotated[int | None, typer.Option("--count", min=1, metavar="N", help="End after so many events.")] = None,
    symbol: Annotated[
        str | None, typer.Option("--symbol", metavar="NAME", help="Only this symbol, underlying or option.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--start", metavar="TIME", help="Only events from this event time on: ISO or ns.")
    ] = None,
    end: Annotated[str | None, typer.Option("--end", metavar="TIME", help="Likewise before this one.")] = None,
    as_json: Json = False,
    text: Annotated[
        bool, typer.Option("--text", help="Lines for a person, also into a pipe.", rich_help_panel=OUTPUT)
    ] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="The payloads alone, a line each.", rich_help_panel=OUTPUT)
    ] = False,
    stats: Annotated[
        bool, typer.Option("--stats", help="Rates, bytes and latencies by subject instead.", rich_help_panel=OUTPUT)
    ] = False,
    nats_url: NatsUrl = None,
    embedded: Embedded = False,
    store: Store = None,
    port: Port = 4222,
    prefix: Prefix = "",
) -> int:
    """Follow the stream: the last 10 events, then what comes; JSON lines into a pipe.

    spyctl tail futures    ES as it comes
    spyctl tail gaps --from start --until-end    every gap that is stored
    spyctl tail --from -5m --stats --until-end    rates and latencies
    """
    import asyncio

    from spyctl.cli.tail_run import TailRequest, run_tail
    from spyctl.terminal.event_lines import Wanted, subjects_of
    from spyctl.timing.instants import MAX_INSTANT

    if as_json + text + raw + stats > 1 and not (as_json and stats and not (text or raw)):
        raise UsageError(
            "--json, --text, --raw and --stats exclude each other", "one of them; --stats goes with --json"
        )
    form = "raw" if raw else "stats" if stats else "text" if text else "json" if as_json else ""
    wanted = subjects_of(subjects or [], prefix)
    request = TailRequest(
        target=nats_target(context, nats_url, embedded, port, store),
        prefix=prefix,
        wanted=Wanted(
            frozenset(wanted), symbol, _instant(start) if start else 0, _instant(end) if end else MAX_INSTANT
        ),
        place=_place(start_at),
        until_end=until_end,
        count=count,
        form=form or ("text" if sys.stdout.isatty() else "json"),
        as_json=as_json,
    )
    return asyncio.run(run_tail(request, talk_of(context)))


def _instant(text: str) -> int:
    import time
    from datetime import UTC, datetime

    from spyctl.timing.instants import SECOND, parse_instant

    return parse_instant(text, datetime.fromtimestamp(time.time_ns() // SECOND, UTC).date())


def _place(text: str | None) -> Any:
    # ("last", N), ("seq", N), ("time", ns), ("new", 0), ("start", 0)
    import time

    from spyctl.timing.instants import parse_duration

    if text is None:
        return "last", LAST
    plain = text.strip().lower()
    if plain in ("start", "new"):
        return plain, 0
    if plain.isascii() and plain.isdigit() and len(plain) < 12:
        return "seq", int(plain)
    if plain.startswith("-"):
        if plain[1:].isascii() and plain[1:].isdigit():
            return "last", int(plain[1:])
        return "time", time.time_ns() - parse_duration(plain[1:])
    return "time", _instant(text)
