"""nats-py's client, strict about what a server says: nonsense is an attempt that failed, and ends nothing else."""

from typing import Any

import nats.errors
from nats.aio.client import Client

from spyctl.bus.answers import is_info


class StrictClient(Client):
    """Takes no INFO whose fields are of other types; while it reconnects, too."""

    async def _process_connect_init(self) -> None:
        try:
            await super()._process_connect_init()
        except (nats.errors.Error, OSError, TimeoutError):
            raise
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            raise nats.errors.ProtocolError from None

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:  # noqa: FBT001, FBT002
        if not is_info(info):
            raise nats.errors.ProtocolError
        await super()._process_info(info, initial_connection)
