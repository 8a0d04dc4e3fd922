"""Which datasets hold futures, and the exchange of their records.

Datasets, venues and publisher ids: https://databento.com/docs/standards-and-conventions/publishers-and-venues.
"""

import numpy as np
from numpy.typing import NDArray

# By the first part of a dataset's name, as GLBX of GLBX.MDP3; a venue's code is its ISO market identifier.
_EXCHANGES = {"GLBX": "CME"} | {
    venue: venue for venue in ("IFEU", "IFLL", "IFUS", "NDEX", "XCBF", "XEEE", "XEUR", "XOSE")
}
_STOCKS = (
    *("ARCX", "BATS", "BATY", "DBEQ", "EDGA", "EDGX", "EPRL", "EQUS", "IEXG", "LTSE", "MEMX", "OCEA", "TXSE"),
    *("XASE", "XBOS", "XCHI", "XCIS", "XNAS", "XNYS", "XPSX", "XTKS", "XTKT"),
)
_OPTIONS = ("OPRA",)
_INDICES = ("CCCY", "CGI", "DBIX", "FTSE", "INAV", "MAIN", "MSCI", "MSTAR")
_KNOWN = frozenset((*_EXCHANGES, *_STOCKS, *_OPTIONS, *_INDICES))
_OFF_BOOK, _OFF_BOOK_PUBLISHERS = b"XOFF", (84, 85, 98, 100, 103, 104, 106)  # blocks and other deals reported later


def holds_futures(dataset: str) -> bool:
    """Tell whether a dataset holds futures, as opposed to stocks, their options or indices."""
    return _venue(dataset) in _EXCHANGES


def is_known(dataset: str) -> bool:
    """Tell whether the vendor has a dataset of that name, of whatever kind."""
    return _venue(dataset) in _KNOWN


def exchanges(dataset: str, publisher_ids: NDArray[np.uint16]) -> NDArray[np.bytes_]:
    """Return the exchange of each record of a dataset of futures: ``CME``, or the code of the publisher's venue."""
    exchange = _EXCHANGES[_venue(dataset)].encode()
    return np.where(np.isin(publisher_ids, _OFF_BOOK_PUBLISHERS), _OFF_BOOK, exchange)


def _venue(dataset: str) -> str:
    return dataset.partition(".")[0]
