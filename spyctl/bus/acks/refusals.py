"""The server's answers that it does not store an event: which of them pass, and how long they have been going on."""

from spyctl.timing.instants import SECOND

UNTAKEN = "no stream takes them"
TAKEN_OVER = "another process goes on with this run"
# An id whose first sending is still being agreed upon, a full queue, a cluster between two leaders, more batches than a
# stream or a server may have at a time: each of them ends with its last message, or 10 s after it.
_PASSING = frozenset((10008, 10009, 10158, 10167, 10211))
_RAFT = "raft: "


class Refusals:
    """Refusals in a row, without an event that was stored between them.

    ``reason`` is that of the newest one, "" where none has come since the last repair. ``since_ns`` is when the row
    began, by the clock of who repairs.
    """

    def __init__(self, replicas: int) -> None:
        self.reason = ""
        self.in_row = 0
        self.since_ns = 0
        self.stuck = ""  # what else keeps events from being sent
        self._replicas = replicas
        self._passing = False
        self._cut = False
        self._newest = ""

    @property
    def sentence(self) -> str:
        """What to say of the row, or else of what keeps events from being sent; nothing where all is well."""
        return f"the server refuses to store events: {self._newest}" if self._newest else self.stuck

    def note(self, reason: str | None, err_code: int) -> str:
        """Note an answer, ``None`` where nobody was there to give one; returns its reason."""
        self.reason = self._newest = reason or UNTAKEN
        # A replicated stream without a leader answers as one that is gone does, and refuses a message of ours that is
        # still being agreed upon as if another process had taken over.
        unsure = reason in (None, TAKEN_OVER) or self.reason.startswith(_RAFT)
        electing = self._replicas > 1 and unsure
        self._passing = electing or err_code in _PASSING
        return self.reason

    def stored(self) -> None:
        """Note that an event was stored: what is refused next begins a new row."""
        self.in_row = 0
        self._newest = ""

    def disconnected(self) -> None:
        """Note that the connection over which they came is gone."""
        self._cut = True

    def connected(self) -> None:
        """Note that there is a connection; over another one than before, what is refused begins a new row.

        A server that shuts down refuses first, and what it said may be heard after the connection is gone.
        """
        if self._cut:
            self._cut = False
            self.reason = ""
            self.stored()

    def last_too_long(self, now_ns: int, limit_s: float, outage_s: float) -> bool:
        """Count the newest one; tell whether the row is longer than its limit, or an outage's where it passes."""
        self.in_row += 1
        if self.in_row == 1:
            self.since_ns = now_ns
        limit_s = max(limit_s, outage_s) if self._passing else limit_s
        return now_ns - self.since_ns > limit_s * SECOND
