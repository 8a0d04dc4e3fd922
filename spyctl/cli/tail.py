"""``spyctl tail``: follow the stream, one line per event."""

import sys
from dataclasses import dataclass
from typing import Annotated

import typer

from spyctl.cli.framework import complete
from spyctl.cli.framework.help_page import OUTPUT
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.nats_options import NatsOptions, complete_runs
from spyctl.cli.options import Json
from spyctl.cli.tail_options import TailForm, parse_place, parse_time, range_text
from spyctl.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionOptions:
    """Which events of the stream to show."""

    place: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="PLACE",
            help="start, new, a sequence, -N (the last N), -5m, a stored time.",
            autocompletion=complete.places,
        ),
    ] = None
    run: Annotated[
        str | None,
        typer.Option(
            "--run", metavar="RUN", help="The events of one run: an id, or last.", autocompletion=complete_runs
        ),
    ] = None
    until_end: Annotated[bool, typer.Option("--until-end", help="Stop at the end of what is stored now.")] = False
    count: Annotated[int | None, typer.Option("--count", min=1, metavar="N", help="Stop after N events.")] = None
    symbol: Annotated[
        str | None,
        typer.Option(
            "--symbol",
            metavar="NAME",
            help="Only this symbol, underlying or option.",
            autocompletion=complete.stream_symbols,
        ),
    ] = None
    start: Annotated[
        str | None,
        typer.Option(
            "--start",
            metavar="TIME",
            help="Only events at or after this event time: ISO or ns.",
            autocompletion=complete.times,
        ),
    ] = None
    end: Annotated[
        str | None,
        typer.Option(
            "--end", metavar="TIME", help="Only events before this event time.", autocompletion=complete.times
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FormOptions:
    """How to write them."""

    as_json: Json = False
    text: Annotated[
        bool, typer.Option("--text", help="Lines for a person, also into a pipe.", rich_help_panel=OUTPUT)
    ] = False
    raw: Annotated[bool, typer.Option("--raw", help="Only the payloads, one per line.", rich_help_panel=OUTPUT)] = False
    stats: Annotated[
        bool, typer.Option("--stats", help="Rates, bytes and latencies by subject instead.", rich_help_panel=OUTPUT)
    ] = False

    def form(self) -> TailForm:
        """Return the form that is asked for, text on a terminal and JSON into a pipe where none is.

        Raises :class:`UsageError` where several are.
        """
        forms = [
            form
            for form, given in (
                (TailForm.STATS, self.stats),
                (TailForm.TEXT, self.text),
                (TailForm.RAW, self.raw),
                (TailForm.JSON, self.as_json and not self.stats),  # the statistics may be JSON
            )
            if given
        ]
        if len(forms) > 1:
            raise UsageError(
                "--json, --text, --raw and --stats exclude each other", "one of them; --stats goes with --json"
            )
        if forms:
            return forms[0]
        return TailForm.TEXT if sys.stdout.isatty() else TailForm.JSON


def tail(
    context: typer.Context,
    subjects: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SUBJECT",
            help="futures, options.trades, gaps, …; default: all.",
            autocompletion=complete.subjects,
        ),
    ] = None,
    *,
    selection: SelectionOptions,
    form: FormOptions,
    nats: NatsOptions,
) -> int:
    """Follow the stream: the last 10 events, then new ones; JSON lines into a pipe.

    spyctl tail futures    ES as it comes
    spyctl tail --run last    what the last run stored
    spyctl tail gaps --from start --until-end    every gap that is stored
    spyctl tail --from -5m --stats --until-end    rates and latencies
    """
    import asyncio

    from spyctl.cli.tail_run import TailRequest, run_tail
    from spyctl.terminal.event_lines import EventFilter, subjects_of
    from spyctl.timing.instants import MAX_INSTANT

    reporter = Reporter.of(context)
    if selection.run is not None and selection.place is not None:
        raise UsageError("--run and --from exclude each other", "one of the two")
    start_ns, end_ns = (parse_time(text) if text else None for text in (selection.start, selection.end))
    if start_ns is not None or end_ns is not None:
        reporter.block("range", range_text(start_ns, end_ns))
    request = TailRequest(
        target=nats.target(context),
        prefix=nats.prefix,
        wanted=EventFilter(
            frozenset(subjects_of(subjects or [], nats.prefix)),
            selection.symbol,
            start_ns if start_ns is not None else 0,
            end_ns if end_ns is not None else MAX_INSTANT,
        ),
        place=parse_place(selection.place),
        until_end=selection.until_end,
        count=selection.count,
        form=form.form(),
        as_json=form.as_json,
        run=selection.run,
    )
    return asyncio.run(run_tail(request, reporter))
