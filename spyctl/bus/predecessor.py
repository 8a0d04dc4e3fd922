"""The last run of a command into a stream: how far it came, so that what is missing since can be told."""

from collections.abc import Collection, Mapping
from typing import Any

import orjson

from spyctl.bus.connection import Connection
from spyctl.bus.contents import last_on
from spyctl.bus.runs import RunRecord, RunState, stored_runs


async def predecessor(
    connection: Connection, command: str, stream: str, run_id: str, options: Mapping[str, Any]
) -> RunRecord | None:
    """Return the record of the run that ended last before run ``run_id``, of the same command, stream and options."""
    candidates = [
        record
        for record in await stored_runs(connection)
        if (record.command, record.stream) == (command, stream)
        and record.run_id != run_id
        and record.state is not RunState.REFUSED
        and all(record.options.get(name) == value for name, value in options.items())
    ]
    return max(candidates, key=lambda record: record.updated_ns, default=None)


async def came_to(connection: Connection, record: RunRecord, subjects: Collection[str]) -> int:
    """Return the event time (Unix ns) that a run came to on those of its subjects that are among ``subjects``.

    It is known when its record was last renewed, a second before its end at most, and how late its last events were.
    """
    lags = [await _lag(connection, record.stream, subject) for subject in record.subjects if subject in subjects]
    return record.updated_ns - min((lag for lag in lags if lag is not None), default=0)


async def newest_events(connection: Connection, stream: str, subjects: Collection[str], source: str) -> list[int]:
    """Return the event time (Unix ns) of the newest message on each of some subjects, where it has that source."""
    found = [await last_on(connection, stream, subject) for subject in subjects]
    events = [_fields(message.payload) for message in found if message is not None]
    return [event["ts_event_ns"] for event in events if event.get("source") == source and "ts_event_ns" in event]


def _fields(payload: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


async def _lag(connection: Connection, stream: str, subject: str) -> int | None:
    message = await last_on(connection, stream, subject)
    if message is None:
        return None
    try:
        event = orjson.loads(message.payload)
        return max(0, int(event["ts_recv_ns"]) - int(event["ts_event_ns"]))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None
