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
    "futures", "futures.trades", "futures.mbp10", "stocks", "stocks.trades", "stocks.quotes", "options.trades", "gaps",
)  # fmt: skip
EVENT_TYPES = ("StockTrade", "StockQuote", "OptionTrade", "FuturesTrade", "MBP10", "Gap")
SPEEDS = ("1", "10", "100", "max")
_DAY = re.compile(r"(?<!\d)(20\d\d)(\d\d)(\d\d)(?!\d)")
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


def dates(ctx: Any, incomplete: str) -> list[str]:
    """Offer the dates in the names of the data folder's files."""
    head, dots, rest = incomplete.rpartition("..")
    folder = Path(ctx.params.get("data_dir") or os.environ.get("SPYCTL_DATA_DIR") or "dbn-data").expanduser()
    days = sorted({"-".join(match) for name in _file_names(folder) for match in _DAY.findall(name)})
    offers = days if dots else [*days, "last", "all"]
    return [f"{head}{dots}{offer}" for offer in offers if offer.startswith(rest)]


def _file_names(folder: Path) -> Iterator[str]:
    for _, _, files in islice(os.walk(folder), _MOST_FOLDERS):
        yield from (name for name in files if ".dbn" in name)


def contexts(incomplete: str) -> list[str]:
    """Offer the contexts of the ``nats`` CLI."""
    from spyctl.bus.access import contexts as nats_contexts

    return [name for name in nats_contexts() if name.startswith(incomplete)]
