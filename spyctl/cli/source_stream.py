"""The stream that a command reads."""

import asyncio
import math
from typing import Any

from spyctl.bus.connection import ApiError, Connection
from spyctl.bus.contents import stream_info
from spyctl.cli.framework.reporter import Reporter
from spyctl.errors import NoDataError

_POLL_S = 0.25


async def source_stream(
    connection: Connection,
    name: str,
    reporter: Reporter | None = None,
    *,
    patience_s: float = math.inf,
    remedy: str,
) -> dict[str, Any]:
    """Return the configuration and state of a stream; with a ``reporter``, wait for it where it is not there yet, at
    most for ``patience_s``.

    Raises :class:`NoDataError`, with ``remedy`` where there is none.
    """
    announced, loop = False, asyncio.get_running_loop()
    end_s = loop.time() + patience_s
    while True:
        try:
            info = await stream_info(connection, name)
        except ApiError as error:
            raise NoDataError(f"stream {name} at {connection.url} cannot be read: {error}") from None
        if info is not None:
            return info
        if reporter is None or loop.time() >= end_s:
            raise NoDataError(f"there is no stream {name} at {connection.url}", remedy)
        if not announced:
            reporter.line(f"waiting for stream {name} at {connection.url}")
            announced = True
        await asyncio.sleep(_POLL_S)
