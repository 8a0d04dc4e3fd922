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


def times(incomplete: str) -> list[str]:
    """Offer usual times of a day."""
    return [time for time in TIMES if time.startswith(incomplete)]


def symbols(ctx: Any, incomplete: str) -> list[str]:
    """Offer the symbols that the data folder's ``symbology.json`` files name, and words for several."""
    folder = _data_folder(ctx)
    names = [name for path in (folder, *folder.glob("*/")) for name in _symbols_in(path / "symbology.json")]
    return [name for name in dict.fromkeys([*sorted(names), *_SYMBOL_WORDS]) if name.startswith(incomplete)]


def _symbols_in(path: Path) -> list[str]:
    import json

    try:
        return list(json.loads(path.read_bytes())["result"])
    except (OSError, ValueError, TypeError, KeyError):
        return []


def _data_folder(ctx: Any) -> Path:
    return Path(ctx.params.get("data_dir") or os.environ.get("SPYCTL_DATA_DIR") or "dbn-data").expanduser()


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
