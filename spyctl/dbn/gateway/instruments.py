"""What the instruments of a session are called, as the gateway tells it while it goes on."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from spyctl.market.symbology import CaptureMapping, Mapping, SymbolMap, ambiguous_roots, capture_mappings

_FOREVER = 1 << 23  # days


class Instruments:
    """The names of the instruments; ``epochs`` are the offsets at which an id or a symbol goes to another instrument.

    ``on_front`` is told of a continuous symbol that stands for another instrument than before. A name lasts until the
    gateway gives it to another instrument, whatever day it was said to end on; and what is sent again may be of an
    instrument that only the session before this one has named.
    """

    def __init__(self, on_front: Callable[[str], None]) -> None:
        self.symbols = SymbolMap(())
        self.epochs: tuple[int, ...] = ()
        self._on_front = on_front
        self._fronts: dict[str, list[int]] = {}  # the instruments that a symbol has stood for
        self._ambiguous: frozenset[str] = frozenset()
        self._messages: list[CaptureMapping] = []
        self._mappings: tuple[Mapping, ...] = ()
        self._earlier: tuple[Mapping, ...] = ()

    def begin(self) -> None:
        """Begin with another session, which numbers its bytes anew."""
        self._earlier = tuple(
            replace(mapping, first=0, end=_FOREVER, epoch=0, until=None) for mapping in self._mappings
        )
        self._messages = []
        self.learn((), 0)

    def learn(self, messages: Sequence[CaptureMapping], today: int) -> None:
        """Take in what instruments are called on a UTC day (since 1970-01-01)."""
        self._messages += messages
        self._mappings, self.epochs = capture_mappings(self._messages)
        self._ambiguous |= ambiguous_roots((mapping, (today,)) for mapping in self._mappings)
        lasting = (replace(mapping, first=0, end=_FOREVER) for mapping in self._mappings)
        self.symbols = SymbolMap((*self._mappings, *lasting, *self._earlier), self._ambiguous)

    def front(self, symbol: str, instrument_id: int, _: int) -> None:
        """Note the instrument that a continuous symbol stands for."""
        before = self._fronts.setdefault(symbol, [instrument_id])
        if instrument_id in before:  # the schemas come to a roll one after the other
            return
        before.append(instrument_id)
        names = (message.symbol_out for message in self._messages if message.instrument_id == instrument_id)
        raw = next((name for name in names if not name.isdecimal()), "")
        name = f"{raw} ({instrument_id})" if raw else f"instrument {instrument_id}"
        self._on_front(f"{symbol} rolls from instrument {before[-2]} to {name}")
