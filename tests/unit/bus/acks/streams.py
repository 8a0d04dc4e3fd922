"""Streams that fit, without a server."""

from typing import Any

from spyctl.bus.stream import Stream
from spyctl.timing.instants import MINUTE


def stream(**values: Any) -> Stream:
    fields: dict[str, Any] = {
        "name": "S", "first_seq": 1, "last_seq": 0, "messages": 0, "size": 0, "replicas": 1,
        "duplicate_window_ns": 2 * MINUTE, "owned": True, "created": True,
    }  # fmt: skip
    return Stream(**fields | values)
