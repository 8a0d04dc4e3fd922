"""How safely a stream keeps its messages."""

from enum import StrEnum
from typing import Any

ASYNC, MEMORY = {"persist_mode": "async"}, {"storage": "memory"}


class StoreMode(StrEnum):
    """``safe`` has on disk what it acknowledged; ``fast`` is for rehearsals.

    It acknowledges before it writes, or keeps all in memory where the server knows nothing else.
    """

    SAFE = "safe"
    FAST = "fast"


def store_of(mode: StoreMode, *, knows_async: bool) -> dict[str, Any]:
    """Return the fields of a stream's configuration that a mode sets; ``knows_async`` from nats-server 2.12 on."""
    if mode is StoreMode.SAFE:
        return {}
    return ASYNC if knows_async else MEMORY


def what_a_kill_loses(config: dict[str, Any]) -> str:
    """Say what is lost of a stream where its server is killed; nothing where that keeps what it acknowledged."""
    if config.get("storage", "file") == "memory":
        return "is in memory: where its server ends, all of it is lost"
    if config.get("persist_mode") == "async":
        return "acknowledges before it writes: where its server is killed, the last of what it acknowledged may be lost"
    return ""
