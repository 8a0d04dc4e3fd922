"""What goes on during a run: it is shown, its server and the stream's consumers are watched, figures are served."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from spyctl.bus.connection import Connection
from spyctl.bus.consumers import Consumers
from spyctl.bus.custody import Custody
from spyctl.cli.framework.ack_watch import AckWatch
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.framework.screen import Show, show_progress
from spyctl.timing.tasks import end_task

if TYPE_CHECKING:
    from spyctl.cli.framework.metrics import Figures


def away(connection: Connection) -> str:
    """Say that the server is waited for, and why, where it is known; empty where it is there."""
    if connection.connected:
        return ""
    return f"NATS ({connection.trouble})" if connection.trouble else "NATS"


@asynccontextmanager
async def watched(
    reporter: Reporter,
    show: Show | None,
    acks: AckWatch | None,
    consumers: Consumers | None,
    metrics: tuple[str, int] | None,
    figures: "Callable[[], Figures]",
    custody: Custody | None = None,
) -> AsyncIterator[None]:
    """Watch a run, and tell what is done to its stream; without ``show`` it is not shown, without ``acks`` no server
    stores it.

    Raises :class:`UsageError` where ``metrics`` cannot be served.
    """
    async with AsyncExitStack() as stack:
        if metrics is not None:
            from spyctl.cli.framework.metrics import serving

            reporter.block("metrics", stack.enter_context(serving(metrics, figures)))
        if acks is not None:
            stack.push_async_callback(end_task, asyncio.create_task(acks.keep_looking()))
        if consumers is not None:
            stack.push_async_callback(end_task, asyncio.create_task(consumers.keep_looking()))
        if custody is not None:
            stream_changes = custody.keep_looking(reporter.warn)
            stack.push_async_callback(end_task, asyncio.create_task(stream_changes))
        if show is not None:
            stack.push_async_callback(end_task, asyncio.create_task(show_progress(show, reporter)))
        yield
