"""The price over a plan, as far as it has been played."""

from spyctl.replay.bins import BINS, Bins


class PriceLine:
    """The middle of the book between two event times (Unix ns), in :data:`BINS` columns: ``values``.

    Columns between two looks lie on the line between them; ``None`` is what was not played.
    """

    def __init__(self, first_ns: int, last_ns: int) -> None:
        self.values: list[float | None] = [None] * BINS
        self._bins = Bins(first_ns, last_ns)
        self._last: tuple[int, float] | None = None

    def note(self, event_ns: int, price: float) -> None:
        """Take the price at an event time."""
        column = self._bins.at(event_ns)
        from_column, from_price = self._last or (column, price)
        for i in range(from_column + 1, column):
            self.values[i] = from_price + (price - from_price) * (i - from_column) / (column - from_column)
        self.values[column] = price
        self._last = column, price

    def move(self) -> None:
        """Go on somewhere else: what lies between is not played."""
        self._last = None
