"""A KV bucket in memory, and leases of runs on it; no server."""

import os
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import nats.errors
import nats.js.errors
from nats.js.kv import KeyValue

from spyctl.bus.leases import Lease, Leases
from spyctl.bus.machine import here
from spyctl.timing.clock import Clock
from tests.support.clock import JumpingClock


@dataclass
class MemoryBucket:
    """Keeps revisions as JetStream does; while ``away`` it answers nothing. ``error`` is its answer to everything."""

    away: bool = False
    error: Exception | None = None
    writes: int = 0
    _entries: dict[str, tuple[int, bytes]] = field(default_factory=dict)

    def as_bucket(self) -> KeyValue:
        return cast(KeyValue, self)

    async def get(self, key: str) -> Any:
        self._answer()
        if key not in self._entries:
            raise nats.js.errors.KeyNotFoundError
        revision, value = self._entries[key]
        return SimpleNamespace(value=value, revision=revision)

    async def put(self, key: str, value: bytes) -> int:
        self._answer()
        self.writes += 1
        self._entries[key] = self.writes, value
        return self.writes

    async def update(self, key: str, value: bytes, last: int | None = None) -> int:
        self._answer()
        if self._entries.get(key, (0, b""))[0] != (last or 0):
            raise nats.js.errors.KeyWrongLastSequenceError
        return await self.put(key, value)

    async def create(self, key: str, value: bytes) -> int:
        return await self.update(key, value)

    def delete(self, key: str) -> None:
        del self._entries[key]

    def _answer(self) -> None:
        if self.away or self.error is not None:
            raise self.error or nats.errors.TimeoutError


def leases(
    bucket: MemoryBucket | KeyValue, run_id: str = "aaaa", *, clock: Clock | None = None, **fields: Any
) -> Leases:
    """Return the leases of a run of this process, none of them taken; ``fields`` are those of its lease."""
    place = here()
    clock = clock or JumpingClock()
    values: dict[str, Any] = {
        "token": f"token of {run_id}", "run_id": run_id,
        "host": place.host, "pid": os.getpid(), "boot": place.boot, "pids": place.pids,
        "started_ns": clock.time_ns(), "renewed_ns": 0,
    }  # fmt: skip
    return Leases(cast(KeyValue, bucket), Lease(**(values | fields)), clock=clock)
