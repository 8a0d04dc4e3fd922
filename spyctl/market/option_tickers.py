"""Option tickers: ``O:SPY251216C00676000`` and its parts.

Grammar (OCC's Options Symbology Initiative, as Massive writes it): ``O:``, the root, ``YYMMDD``, ``C`` or ``P``, the
strike × 1000 in 8 digits. It is read from the right, since the root has no fixed length.
"""

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from spyctl.errors import PayloadError

_REMEMBERED = 4_096  # the contracts of a window come again and again
LAST_YEAR = 2099  # a ticker has two digits for it
_TICKER = re.compile(r"O:([A-Z0-9.]{1,6})(\d{2})(\d{2})(\d{2})([CP])(\d{8})", re.ASCII)


@dataclass(frozen=True, slots=True)
class OptionTicker:
    """The parts of an option ticker; ``strike_milli`` is the strike in thousandths."""

    root: str
    expiry: date
    right: str
    strike_milli: int

    @property
    def strike(self) -> float:
        """The strike in dollars."""
        return self.strike_milli / 1000

    def __str__(self) -> str:
        return f"O:{self.root}{self.expiry:%y%m%d}{self.right}{self.strike_milli:08d}"


@lru_cache(maxsize=_REMEMBERED)
def parse_option_ticker(text: str) -> OptionTicker:
    """Read an option ticker. Raises :class:`PayloadError` for anything else."""
    parts = _TICKER.fullmatch(text)
    if parts is not None and int(parts[6]) > 0:
        try:
            expiry = date(2000 + int(parts[2]), int(parts[3]), int(parts[4]))
            return OptionTicker(parts[1], expiry, parts[5], int(parts[6]))
        except ValueError:
            pass
    raise PayloadError(f"{text[:40]!r} is not an option ticker")
