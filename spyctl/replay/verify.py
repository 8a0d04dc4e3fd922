"""The stream compared with the events that it should hold, to the byte."""

from collections import deque
from collections.abc import AsyncIterator, Iterator
from itertools import islice

from spyctl.summary import Verified

_LOOK_AHEAD = 2_000  # events missing in a row beyond which the place is lost


async def compare(
    stored: AsyncIterator[list[tuple[int, str, bytes]]], expected: Iterator[tuple[str, bytes]], unchecked: int = 0
) -> Verified:
    """Compare messages (sequence, subject, payload) with the expected events (subject, payload), both in order.

    What is expected begins behind the first ``unchecked`` messages.
    """
    result = Verified(unchecked=unchecked)
    awaited: deque[tuple[str, bytes]] = deque()
    left = unchecked
    async for batch in stored:
        compared = batch[left:]
        left -= len(batch) - len(compared)
        for seq, subject, payload in compared:
            message = (subject, payload)
            if not awaited:
                awaited.extend(islice(expected, 1))
            if awaited and awaited[0] == message:
                awaited.popleft()
                result.stored += 1
                continue
            result.first_difference = result.first_difference or seq
            awaited.extend(islice(expected, _LOOK_AHEAD - len(awaited)))
            if message not in awaited:
                result.differing += 1
                continue
            while awaited.popleft() != message:  # those before it there are missing in the stream
                result.missing += 1
            result.stored += 1
    result.missing += len(awaited) + sum(1 for _ in expected)
    return result
