"""The ledger of a feed's subscriptions: what is desired, what the server holds, what it never acknowledges.

The *desired* topics are the truth: each new connection subscribes them, and the server's acknowledgements are compared
with them. What is not acknowledged is asked for once more, then reported as missing, and asked for now and then.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

_SUBSCRIBED, _UNSUBSCRIBED = "subscribed to: ", "unsubscribed to: "
_TRIES = 2  # until a topic counts as missing
OPTION_QUOTE = "Q.O:"
MAX_OPTION_QUOTES = 1_000  # a connection: https://massive.com/docs/websocket/options/quotes


def quote_topics(topics: Collection[str]) -> frozenset[str]:
    """Return those that are quotes of options, which a plan may not include."""
    return frozenset(topic for topic in topics if topic.startswith(OPTION_QUOTE))


@dataclass(frozen=True, slots=True)
class Reminders:
    """What to say again to the server, and which topics are missing since the last time."""

    subscribe: frozenset[str] = frozenset()
    unsubscribe: frozenset[str] = frozenset()
    newly_missing: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Request:
    asked_ns: int
    tries: int = 0


@dataclass(slots=True)
class Subscriptions:
    """Compares what is desired with what is acknowledged; times are monotonic ns.

    ``acknowledge_ns`` is how long an acknowledgement may take, ``ask_again_ns`` how long to wait between requests for a
    topic that is missing.
    """

    acknowledge_ns: int
    ask_again_ns: int
    desired: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    _requests: dict[str, _Request] = field(default_factory=dict)
    _surplus_since_ns: int = 0

    def set_desired(self, topics: Collection[str]) -> tuple[frozenset[str], frozenset[str]]:
        """Change what is desired; returns what to subscribe and what to unsubscribe."""
        wanted = frozenset(topics)
        add, remove = wanted - self.desired, self.desired - wanted
        self.desired = wanted
        self.missing &= wanted
        return add, remove

    def acknowledge(self, message: str) -> None:
        """Take the message of a status; one that acknowledges nothing changes nothing."""
        if message.startswith(_SUBSCRIBED):
            topic = {message.removeprefix(_SUBSCRIBED).strip()}
            self.held |= topic
            self.missing -= topic
        elif message.startswith(_UNSUBSCRIBED):
            self.held -= {message.removeprefix(_UNSUBSCRIBED).strip()}

    @property
    def complete(self) -> bool:
        """Whether the server holds all that it is known to grant."""
        return self.desired - self.missing <= self.held

    def disconnected(self) -> None:
        """Note that the server holds nothing any more."""
        self.held = self.missing = frozenset()
        self._requests.clear()

    def remind(self, now_ns: int) -> Reminders:
        """Look at a living connection; returns what to do about it."""
        waiting = self.desired - self.held
        self._requests = {topic: self._requests.get(topic) or _Request(now_ns) for topic in waiting}
        again = set()
        for topic, request in self._requests.items():
            patience_ns = self.acknowledge_ns if request.tries < _TRIES else self.ask_again_ns
            if now_ns - request.asked_ns > patience_ns:
                request.asked_ns = now_ns
                request.tries += 1
                again.add(topic)
        missing = frozenset(topic for topic, request in self._requests.items() if request.tries >= _TRIES)
        newly_missing, self.missing = missing - self.missing, missing
        return Reminders(frozenset(again), self._surplus(now_ns), newly_missing)

    def unexpectedly(self, missing: frozenset[str]) -> frozenset[str]:
        """Return which of the missing topics to tell of: not option quotes, where there are none at all."""
        quotes = quote_topics(self.desired)
        return missing - quotes if quotes <= self.missing else missing

    def _surplus(self, now_ns: int) -> frozenset[str]:
        # An unsubscribe that the server did not acknowledge is said again.
        surplus = self.held - self.desired
        if surplus and now_ns - self._surplus_since_ns <= self.acknowledge_ns:
            return frozenset()
        self._surplus_since_ns = now_ns
        return surplus
