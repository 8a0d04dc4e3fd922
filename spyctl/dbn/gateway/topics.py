"""What a futures feed should hold and holds: one topic for each schema of each symbol, ``mbp-10 ES.c.0``."""

import re
from collections.abc import Collection, Iterable

from spyctl.dbn.gateway.protocol import SCHEMAS, Subscription


def topics_of(symbols: Iterable[str]) -> frozenset[str]:
    """Return the topics of some symbols."""
    return frozenset(f"{schema} {symbol}" for symbol in symbols for schema in SCHEMAS)


class Topics:
    """The topics that are desired, those that the gateway has acknowledged, and those that it does not know."""

    def __init__(self, desired: Collection[str]) -> None:
        self.desired = frozenset(desired)
        self.held: frozenset[str] = frozenset()
        self._unknown: set[str] = set()  # symbols

    @property
    def missing(self) -> frozenset[str]:
        """Those whose symbol the gateway does not know."""
        return frozenset(topic for topic in self.desired if _symbol(topic) in self._unknown)

    @property
    def complete(self) -> bool:
        """Whether all that can be held is held."""
        return self.desired <= self.held | self.missing

    def subscriptions(self, start_ns: int | None) -> list[Subscription]:
        """Return what to subscribe to, from an instant on (Unix ns)."""
        asked = self.desired - self.missing
        by_schema = {schema: sorted(_symbol(t) for t in asked if t.startswith(f"{schema} ")) for schema in SCHEMAS}
        return [Subscription(schema, symbols, start_ns) for schema, symbols in by_schema.items() if symbols]

    def acknowledge(self, text: str) -> None:
        """Note that the gateway has acknowledged a schema, which its words name; all where they name none."""
        named = [schema for schema in SCHEMAS if schema in text] or SCHEMAS
        self.held |= {topic for topic in self.desired - self.missing if topic.partition(" ")[0] in named}

    def reject(self, text: str) -> frozenset[str]:
        """Note that the gateway does not know the symbols in its words, all where there are none; returns them."""
        symbols = {_symbol(topic) for topic in self.desired}
        named = {symbol for symbol in symbols if re.search(rf"(?<![\w.]){re.escape(symbol)}(?![\w-])", text)}
        self._unknown |= named or symbols
        self.held -= self.missing
        return frozenset(named or symbols)

    def disconnected(self) -> None:
        """Note that nothing is held any more."""
        self.held = frozenset()


def _symbol(topic: str) -> str:
    return topic.partition(" ")[2]
