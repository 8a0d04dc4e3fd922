"""Which stored messages are a run's own, where others publish to its subjects too: told by bytes, or by identities."""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from spyctl.bus.connection import Connection
from spyctl.bus.reader import read_back
from spyctl.market.encode import EncodedBatch

_AHEAD = 100_000  # events behind the last one found: far more than a server can lose
Message = tuple[str, bytes]  # subject and payload
# A run's events behind a position, the same every time; the journal is that of its record.
Events = Callable[[Mapping[str, Any], int], AsyncIterator[Sequence[Message]]]
EventsAfter = Callable[[int], AsyncIterator[Sequence[Message]]]  # the same of a run that goes on


def messages_of(batch: EncodedBatch, subjects: Sequence[str]) -> list[Message]:
    """Return events as messages; ``subjects`` is the table that their ranks index."""
    return [(subjects[rank], payload) for rank, payload in zip(batch.ranks.tolist(), batch.payloads(), strict=True)]


async def messages_after(
    connection: Connection, stream: str, subjects: Sequence[str], after_seq: int, last_seq: int, skip: int = 0
) -> AsyncGenerator[list[Message]]:
    """Yield the messages on some subjects with ``after_seq < seq <= last_seq``, but so many of the first ones.

    The first that is yielded comes alone. Raises :class:`UnreachableError`.
    """
    alone = 1
    async for rows in read_back(connection, stream, subjects, after_seq, last_seq):
        messages = [(subject, payload) for _, subject, payload in rows[max(0, skip) :]]
        skip -= len(rows)
        for part in (messages[:alone], messages[alone:]):
            if part:
                alone = 0
                yield part


async def first(count: int, batches: AsyncIterator[Sequence[Message]]) -> AsyncIterator[Sequence[Message]]:
    """Yield so many of the messages at most."""
    async for messages in batches:
        yield messages[:count]
        count -= len(messages)
        if count <= 0:
            break


async def count_own(
    stored: AsyncIterator[Sequence[Message]], expected: AsyncIterator[Sequence[Message]], known: int = 0
) -> int | None:
    """Count how many of the expected events are stored, from the first one on, whatever others lie between them.

    Counts from ``known`` on. ``None`` where others equal some of them, or some that would come later, so that it cannot
    be told.
    """
    awaited: deque[Message] = deque()
    own, found, others = known, set[int](), set[int]()  # the hashes of ours and of others
    async for messages in stored:
        for message in messages:
            while not awaited and (more := await anext(expected, None)) is not None:
                awaited.extend(more)
            if awaited and awaited[0] == message:
                awaited.popleft()
                found.add(hash(message))
                own += 1
            else:
                others.add(hash(message))
    ahead = len(awaited)
    found |= {hash(message) for message in awaited}
    while others and ahead < _AHEAD and (more := await anext(expected, None)) is not None:
        ahead += len(more)
        found |= {hash(message) for message in more}
    return own if found.isdisjoint(others) else None


async def count_identified(ids: AsyncIterator[Sequence[str]], run_id: str, position: int) -> int | None:
    """Count how many events behind a position are stored, by the ids ``<run_id>-<position>`` among those stored.

    ``None`` where one is missing before one that is stored.
    """
    prefix, positions = f"{run_id}-", set[int]()
    async for batch in ids:
        numbers = [text.removeprefix(prefix) for text in batch if text.startswith(prefix)]
        positions |= {int(number) for number in numbers if number.isascii() and number.isdigit()}
    ahead = {number for number in positions if number > position}
    return len(ahead) if not ahead or max(ahead) - position == len(ahead) else None
