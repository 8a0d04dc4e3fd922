"""``spyctl record``: what the stream carries, onto tapes."""

from pathlib import Path
from typing import Annotated

import typer

from spyctl.cli.framework import complete
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.nats_options import NatsOptions
from spyctl.cli.options import Json

Out = Annotated[
    Path, typer.Option("--out", envvar="SPYCTL_TAPES", metavar="DIR", help="Folder for the tapes; created if missing.")
]
Lasting = Annotated[str | None, typer.Option("--for", metavar="TIME", help="Stop cleanly after this long.")]
UntilEnd = Annotated[bool, typer.Option("--until-end", help="Stop at the end of what is stored now.")]


def record(
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
    out: Out = Path("tapes"),
    lasting: Lasting = None,
    until_end: UntilEnd = False,
    nats: NatsOptions,
    as_json: Json = False,
) -> int:
    """Record the stream onto tapes, one per trading day: what it holds, then what
    arrives.

    spyctl record --out tapes    continues where it stopped
    spyctl record stocks options --until-end    what is stored now
    """
    import asyncio

    from spyctl.cli.record_run import RecordRequest, run_record
    from spyctl.terminal.event_lines import subjects_of
    from spyctl.timing.instants import parse_duration

    request = RecordRequest(
        target=nats.target(context),
        prefix=nats.prefix,
        subjects=tuple(subjects_of(subjects or [], nats.prefix)),
        folder=out,
        lasting_ns=parse_duration(lasting) if lasting else None,
        until_end=until_end,
        as_json=as_json,
    )
    return asyncio.run(run_record(request, Reporter.of(context)))
