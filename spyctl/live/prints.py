"""Which of several equal option prints one is.

Option trades have no id, and REST knows no sequence of theirs. So a print is told by its contract, millisecond,
exchange, price and size, the same from both sources, and by its number among those that are equal: over the socket the
sequence tells them apart, over REST their count.
"""

from collections import OrderedDict

from spyctl.massive.normalize import numbered

REMEMBERED = 65_536


class OptionPrints:
    """Numbers equal prints by their sequences; remembers at most ``most`` different ones."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._most = most
        self._sequences: OrderedDict[str, list[int]] = OrderedDict()

    def name(self, identity: str, seq: int | None) -> str:
        """Return the identity of a print with a sequence, the same for a copy; without one it is the first."""
        if not seq:
            return identity
        sequences = self._sequences.setdefault(identity, [])
        if seq not in sequences:
            sequences.append(seq)
            if len(self._sequences) > self._most:
                self._sequences.popitem(last=False)
        return numbered(identity, sequences.index(seq) + 1)
