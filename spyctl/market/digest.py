"""The digest of payloads: a hash over them in their order, each followed by a newline.

It tells whether two runs published the same bytes; it is no protection against somebody who wants to deceive.
"""

from collections.abc import Callable
from hashlib import blake2b
from typing import Protocol

import xxhash

ALGORITHM = "xxh3-128"
_BEGINNINGS: "dict[str, Callable[[], Digest]]" = {
    ALGORITHM: xxhash.xxh3_128,
    "blake2b-128": lambda: blake2b(digest_size=16),  # of tapes recorded before
}


class Digest(Protocol):
    """A digest that was begun."""

    def update(self, data: bytes | memoryview, /) -> None: ...

    def hexdigest(self) -> str: ...


def new_digest(algorithm: str = ALGORITHM) -> Digest:
    """Begin a digest of payloads. Raises :class:`KeyError` for an algorithm that is not known here."""
    return _BEGINNINGS[algorithm]()


def knows(algorithm: str) -> bool:
    """Tell whether a digest of this algorithm can be computed."""
    return algorithm in _BEGINNINGS
