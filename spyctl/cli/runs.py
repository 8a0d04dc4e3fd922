"""``spyctl runs``: the runs that a server knows, and where their events are."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.framework.streams import write, write_document
from spyctl.cli.nats_options import NatsOptions
from spyctl.cli.options import Json
from spyctl.errors import ExitCode

if TYPE_CHECKING:
    from spyctl.bus.runs import RunRecord, RunState
    from spyctl.bus.target import Target


@dataclass(frozen=True, slots=True)
class _Row:
    # A run with its true state: one that says it is running may have crashed.
    record: "RunRecord"
    state: "RunState"

    @property
    def dates(self) -> list[str]:
        from spyctl.timing.instants import date_of

        return self.record.options.get("dates") or [str(date_of(self.record.started_ns))]

    @property
    def span(self) -> tuple[int | None, int | None]:
        checkpoint = self.record.checkpoint
        if checkpoint is None or not checkpoint.position:
            return None, None
        began_after = self.record.began_after
        return began_after + 1 if began_after is not None else None, checkpoint.seq

    def document(self) -> dict[str, Any]:
        from spyctl.timing.instants import utc_text

        record, (first_seq, last_seq) = self.record, self.span
        return {
            "run_id": record.run_id,
            "command": record.command,
            "stream": record.stream,
            "dates": self.dates,
            "events": record.position,
            "state": self.state,
            "started_ns": record.started_ns,
            "started_utc": utc_text(record.started_ns),
            "first_seq": first_seq,
            "last_seq": last_seq,
        }

    def cells(self) -> tuple[str, ...]:
        from spyctl.timing.instants import utc_text

        record, (first_seq, last_seq) = self.record, self.span
        span = "·" if last_seq is None else f"{f'{first_seq:,}' if first_seq is not None else '·'} to {last_seq:,}"
        days = self.dates[0] + (f" +{len(self.dates) - 1}" if len(self.dates) > 1 else "")
        began = utc_text(record.started_ns)[:16].replace("T", " ")
        return record.run_id, record.command, days, f"{record.position:,}", str(self.state), began, span, record.stream


_HEADS = ("run", "command", "dates", "events", "state", "began, UTC", "sequences", "stream")


def runs(
    context: typer.Context,
    *,
    count: Annotated[int, typer.Option("--count", min=1, metavar="N", help="The last N runs.")] = 20,
    nats: NatsOptions,
    as_json: Json = False,
) -> int:
    """List the runs of the last seven days: what they played, how they ended, where their events are.

    spyctl runs
    spyctl tail --run RUN    the events of one
    """
    import asyncio

    from spyctl.terminal.tables import table

    reporter = Reporter.of(context)
    rows = asyncio.run(_rows(nats.target(context), reporter))[-count:]
    if as_json:
        document = {"runs": [row.document() for row in rows]}
        write_document(document)
    elif rows:
        columns = len(_HEADS) if len({row.record.stream for row in rows}) > 1 else len(_HEADS) - 1
        for line in table(_HEADS[:columns], [row.cells()[:columns] for row in rows], right={"events"}):
            write(line)
    else:
        reporter.line("no runs yet")
    return ExitCode.OK


async def _rows(target: "Target", reporter: Reporter) -> list[_Row]:
    from spyctl.bus.runs import RunState, living_runs, stored_runs
    from spyctl.bus.target import reach

    async with reach(target, tell=reporter.line) as reached:
        records = await stored_runs(reached.connection)
        living: set[str] = set()
        if any(record.state is RunState.RUNNING for record in records):
            living = {record.run_id for record in await living_runs(reached.connection)}
    return [
        _Row(record, RunState.CRASHED)
        if record.state is RunState.RUNNING and record.run_id not in living
        else _Row(record, record.state)
        for record in records
    ]
