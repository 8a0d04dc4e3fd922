"""The identities met last, so that what arrives again is known."""

from collections import deque

HELD_AT_MOST = 2_000_000  # around a gap that is being filled


class Seen:
    """Remembers at most ``most`` identities; while :meth:`hold` is in force none is forgotten."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._holds = 0
        self._identities: set[str] = set()
        self._order: deque[str] = deque()

    def add(self, identity: str) -> bool:
        """Remember an identity; returns whether it is new."""
        if identity in self._identities:
            return False
        self._identities.add(identity)
        self._order.append(identity)
        self._trim()
        return True

    def hold(self) -> None:
        """Forget nothing until :meth:`release`, which is to be called as often."""
        self._holds += 1

    def release(self) -> None:
        """Forget again."""
        self._holds -= 1
        self._trim()

    def _trim(self) -> None:
        most = self._most if not self._holds else HELD_AT_MOST
        while len(self._order) > most:
            self._identities.remove(self._order.popleft())
