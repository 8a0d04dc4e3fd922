"""Options on an index: which index the roots of their tickers belong to.

Some indices have two roots, one of the monthly options that settle in the morning, one of the others (Cboe's product
specifications): SPX and SPXW.
"""

INDEX_PREFIX = "I:"
_INDICES = {
    "SPX": "SPX", "SPXW": "SPX", "XSP": "XSP", "NDX": "NDX", "NDXP": "NDX", "RUT": "RUT", "RUTW": "RUT",
    "VIX": "VIX", "VIXW": "VIX", "DJX": "DJX",
}  # fmt: skip


def index_of(symbol: str) -> str | None:
    """Return the ticker of the index (``I:SPX``) that options of a root are on, ``None`` for a stock."""
    index = _INDICES.get(symbol)
    return None if index is None else f"{INDEX_PREFIX}{index}"


def listed_under(symbol: str) -> str:
    """Return the underlying that contracts are listed under: that of all its roots for an index, else the stock."""
    return _INDICES.get(symbol, symbol)
