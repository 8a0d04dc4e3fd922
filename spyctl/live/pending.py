"""An event as it will be published, in memory and on disk."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import orjson


@dataclass(frozen=True, slots=True)
class Pending:
    """An event as it will be published; ``feed`` is empty for a gap record, ``received_ns`` is monotonic.

    A newer one makes an older one stale that ``conflates`` the same.
    """

    payload: bytes
    identity: str
    subject: str
    feed: str
    received_ns: int
    conflates: str | None = None


def written(events: Iterable[Pending]) -> bytes:
    """Return events as two lines each: what is known of it, and its payload, in which JSON has no line break."""
    heads = ((event, orjson.dumps((event.identity, event.subject, event.feed, event.received_ns))) for event in events)
    return b"".join(b"%b\n%b\n" % (head, event.payload) for event, head in heads)


def read(data: bytes) -> Iterator[Pending]:
    """Yield what :func:`written` wrote, ``conflates`` excepted. Raises :class:`ValueError`."""
    lines = data.split(b"\n")
    if len(lines) % 2 == 0 or lines.pop():
        raise ValueError("not whole")
    for head, payload in zip(lines[::2], lines[1::2], strict=True):
        identity, subject, feed, received_ns = fields = orjson.loads(head)
        if [type(field) for field in fields] != [str, str, str, int]:
            raise ValueError("fields of other types")
        yield Pending(payload, identity, subject, feed, received_ns)
