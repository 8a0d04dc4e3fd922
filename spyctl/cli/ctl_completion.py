"""What the Tab key offers after ``spyctl ctl``: commands, what may follow each of them, marks and runs.

Marks and runs are those of the replays that run, where a server answers at once. Nothing fails or starts anything.
"""

from collections.abc import Iterable
from typing import Any

from spyctl.cli.framework.complete import SPEEDS, TIMES
from spyctl.cli.nats_options import half_typed

_ANSWER_S = 0.3


def complete_run(ctx: Any, incomplete: str) -> list[str]:
    """Offer the replays that can be controlled."""
    return _beginning(incomplete, _replays(ctx))


def complete_command(ctx: Any, incomplete: str) -> list[str]:
    """Offer the commands, and behind a command what may follow it."""
    from spyctl.replay.commands import VERBS, Sight, Unit

    match list(ctx.params.get("command") or []):
        case []:
            return _beginning(incomplete, VERBS)
        case ["next" | "previous"]:
            return _beginning(incomplete, Sight)
        case ["step", _]:
            return _beginning(incomplete, Unit)
        case ["speed"]:
            return _beginning(incomplete, SPEEDS)
        case ["stop"]:
            return _beginning(incomplete, ["keep"])
        case ["goto"]:
            return _beginning(incomplete, _marks(ctx))
        case ["seek"] | ["loop", _]:
            return _beginning(incomplete, [*_marks(ctx), *TIMES])
        case ["loop"]:
            return _beginning(incomplete, [*_marks(ctx), *TIMES, "off"])
    return []


def _beginning(start: str, words: Iterable[str]) -> list[str]:
    return [str(word) for word in words if word.startswith(start)]


def _marks(ctx: Any) -> list[str]:
    wanted = ctx.params.get("run")
    return [mark for run, marks in _replays(ctx, marks=True).items() if wanted in (None, run) for mark in marks]


def _replays(ctx: Any, *, marks: bool = False) -> dict[str, list[str]]:
    # The replays that run, each with its marks in the order of event time where those are asked for.
    import asyncio

    from spyctl.bus.connection import connect
    from spyctl.bus.control_service import command, controllable

    async def ask() -> dict[str, list[str]]:
        urls, access = half_typed(ctx.params).running_server()
        connection = await connect(urls, access=access, timeout_s=_ANSWER_S)
        try:
            runs = [about["run_id"] for about in await controllable(connection)]
            return {
                run: list((await command(connection, run, "status", _ANSWER_S))["marks"]) if marks else []
                for run in runs
            }
        finally:
            await connection.close()

    try:
        return asyncio.run(ask())
    except Exception:  # whatever is wrong, the command itself will say so
        return {}
