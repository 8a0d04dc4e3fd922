"""A walk of an index: it has values and options, but neither quotes nor trades of its own."""

from typing import Any

from spyctl.market.index_options import index_of
from spyctl.massive.simulator import Walk

START_VALUE = 6_800.0


class IndexWalk(Walk):
    """A :class:`Walk` whose quotes and trades are values of the index instead."""

    def __init__(self, seed: int, symbol: str, *, first_id: int | None = None, trend: float = 0.0) -> None:
        super().__init__(seed, START_VALUE, first_id, symbol, trend)
        self._index = index_of(symbol)

    def _quote(self, ms: int) -> dict[str, Any]:
        quote = super()._quote(ms)
        return {"ev": "V", "T": self._index, "val": round((quote["bp"] + quote["ap"]) / 2, 2), "t": ms}

    def _trade(self, ms: int) -> dict[str, Any]:
        return self._quote(ms)
