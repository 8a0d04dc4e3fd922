"""``spyctl ctl``: control of a running replay, from any terminal that reaches its NATS server."""

from typing import Annotated

import typer

from spyctl.cli.ctl_completion import complete_command, complete_run
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.nats_options import NatsOptions
from spyctl.cli.options import Json
from spyctl.errors import UsageError


def ctl(
    context: typer.Context,
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[COMMAND ARGS…]",
            help="pause, resume, step, speed, seek, next, mark, loop, undo, status, stop; without one: list the runs.",
            autocompletion=complete_command,
        ),
    ] = None,
    *,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN", help="Which run, if several are running.",
                     autocompletion=complete_run),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="With status: follow it until it ends.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="With stop: leave the run resumable where it stands.")] = False,
    nats: NatsOptions,
    as_json: Json = False,
) -> int:  # fmt: skip
    """Control a running replay: pause, step, seek, loop, change its speed, stop it.

    spyctl ctl                     list the running replays
    spyctl ctl pause
    spyctl ctl seek 09:30          also open, close-5m, +10s, a mark, ISO, ns
    spyctl ctl step -5 trades      back five trades
    spyctl ctl next trade 50       the next trade of 50 lots or more
    spyctl ctl stop --keep         resumable with replay --resume
    """
    words = list(command or [])
    if keep:
        if words != ["stop"]:
            raise UsageError("--keep belongs to stop", "spyctl ctl stop --keep")
        words.append("keep")
    if watch and words not in ([], ["status"]):
        raise UsageError("--watch belongs to status", "spyctl ctl status --watch")
    if words:
        from spyctl.replay.commands import parse_command

        parse_command(words)  # what makes no sense is refused before anybody is asked
    import asyncio

    from spyctl.cli.ctl_run import control

    target = nats.target(context, may_embed=False)
    return asyncio.run(control(target, words, run, Reporter.of(context), watch=watch, as_json=as_json))
