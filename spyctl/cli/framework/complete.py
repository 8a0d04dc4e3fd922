"""What the Tab key offers: dates, schemas, subjects and contexts that exist.

Each function is given what was typed so far and imports as little as it can; none ever fails or starts anything.
"""

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

SCHEMAS = ("trades", "mbp-10")
SUBJECTS = (
    "futures", "futures.trades", "futures.mbp10", "stocks", "stocks.trades", "stocks.quotes",
    "options", "options.trades", "options.quotes", "gaps", "resets",
)  # fmt: skip
EVENT_TYPES = ("StockTrade", "StockQuote", "OptionTrade", "OptionQuote", "FuturesTrade", "MBP10", "Gap", "Reset")
SPEEDS = ("1", "10", "100", "max")
PLACES = ("start", "new", "-100", "-5m", "09:30")
STOCKS = ("SPY", "QQQ", "IWM", "SPX")
FUTURES = ("ES.c.0", "NQ.c.0", "ES.v.0")
FEEDS = ("stocks", "options", "futures")
EXPIRIES = ("0dte", "next")
TIMES = ("open", "open-5m", "open+30m", "close", "close-5m", "09:30")
_SYMBOL_WORDS = ("ES", "outright", "spread")
_DAY = re.compile(r"(?<!\d)(20\d\d)-?(\d\d)-?(\d\d)(?!\d)")
_MOST_FOLDERS = 1_000


def schemas(incomplete: str) -> list[str]:
    """Offer the schemas."""
    return [schema for schema in SCHEMAS if schema.startswith(incomplete.lower())]


def subjects(incomplete: str) -> list[str]:
    """Offer the names for subjects."""
    return [subject for subject in SUBJECTS if subject.startswith(incomplete)]


def event_types(incomplete: str) -> list[str]:
    """Offer the event types."""
    return [name for name in EVENT_TYPES if name.lower().startswith(incomplete.lower())]


def speeds(incomplete: str) -> list[str]:
    """Offer usual speeds."""
    return [speed for speed in SPEEDS if speed.startswith(incomplete)]


def places(incomplete: str) -> list[str]:
    """Offer places in the stream."""
    return [place for place in PLACES if place.startswith(incomplete)]


def stocks(incomplete: str) -> list[str]:
    """Offer usual underlyings."""
    return [name for name in STOCKS if name.startswith(incomplete)]


def futures(incomplete: str) -> list[str]:
    """Offer usual futures, and what the vendor calls all of them."""
    return [name for name in (*FUTURES, "ES.FUT", "ALL_SYMBOLS") if name.startswith(incomplete)]


def live_futures(incomplete: str) -> list[str]:
    """Offer usual futures."""
    return [name for name in FUTURES if name.startswith(incomplete)]


def feeds(incomplete: str) -> list[str]:
    """Offer the feeds that a list of feeds does not have yet."""
    head, comma, rest = incomplete.rpartition(",")
    return [f"{head}{comma}{feed}" for feed in FEEDS if feed.startswith(rest) and feed not in head.split(",")]


def expiries(incomplete: str) -> list[str]:
    """Offer words for expiries."""
    return [word for word in EXPIRIES if word.startswith(incomplete)]


def days(incomplete: str) -> list[str]:
    """Offer words for days."""
    head, dots, rest = incomplete.rpartition("..")
    return [f"{head}{dots}{word}" for word in ("today", "yesterday") if word.startswith(rest)]


def times(incomplete: str) -> list[str]:
    """Offer usual times of a day."""
    return [time for time in TIMES if time.startswith(incomplete)]


def symbols(ctx: Any, incomplete: str) -> list[str]:
    """Offer the symbols that the data folder's ``symbology.json`` files name, and words for several."""
    folder = _data_folder(ctx)
    names = [name for path in (folder, *folder.glob("*/")) for name in _symbols_in(path / "symbology.json")]
    return [name for name in dict.fromkeys([*sorted(names), *_SYMBOL_WORDS]) if name.startswith(incomplete)]


def stream_symbols(ctx: Any, incomplete: str) -> list[str]:
    """Offer the symbols that a stream may hold: usual ones, and those of the data folder."""
    return [name for name in dict.fromkeys(["ES", "SPY", *symbols(ctx, "")]) if name.startswith(incomplete)]


def _symbols_in(path: Path) -> list[str]:
    import json

    try:
        return list(json.loads(path.read_bytes())["result"])
    except (OSError, ValueError, TypeError, KeyError):
        return []


def _data_folder(ctx: Any) -> Path:
    from spyctl.errors import expanded

    return expanded(ctx.params.get("data_dir") or os.environ.get("SPYCTL_DATA_DIR") or "dbn-data")


def dates(ctx: Any, incomplete: str) -> list[str]:
    """Offer the dates in the names of the data folder's files."""
    head, dots, rest = incomplete.rpartition("..")
    days = sorted({"-".join(match) for name in _file_names(_data_folder(ctx)) for match in _DAY.findall(name)})
    offers = [*days, "today", "yesterday", *(() if dots else ("last", "all"))]
    return [f"{head}{dots}{offer}" for offer in offers if offer.startswith(rest)]


def _file_names(folder: Path) -> Iterator[str]:
    for _, _, files in islice(os.walk(folder), _MOST_FOLDERS):
        yield from (name for name in files if ".dbn" in name or ".jsonl" in name)


def contexts(incomplete: str) -> list[str]:
    """Offer the contexts of the ``nats`` CLI."""
    from spyctl.bus.access import contexts as nats_contexts

    return [name for name in nats_contexts() if name.startswith(incomplete)]
