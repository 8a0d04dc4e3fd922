"""What goes on beside a session and may take a while: asking the vendor for trades or contracts."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from spyctl.timing.tasks import end_task


class Errands:
    """Runs errands until :meth:`end`; ``warn`` is told of one that fails."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, errand: Coroutine[Any, Any, None]) -> None:
        """Begin an errand."""
        task = asyncio.create_task(errand)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def end(self) -> None:
        """Cancel what goes on."""
        for task in list(self._tasks):
            await end_task(task)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._warn(f"the vendor's answer makes no sense: {type(error).__name__}: {error}")
