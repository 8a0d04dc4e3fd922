"""What the Tab key offers: dates, schemas, symbols, subjects, runs and contexts that are there.

Each function is given what was typed so far and imports as little as it can; none ever fails or starts anything.
"""

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

SUBJECTS = (
    "futures", "futures.trades", "futures.mbp10", "stocks", "stocks.trades", "stocks.quotes", "options.trades", "gaps",
)  # fmt: skip
EVENT_TYPES = ("StockTrade", "StockQuote", "OptionTrade", "FuturesTrade", "MBP10", "Gap")
_DAY = re.compile(r"(?<!\d)(20\d\d)(\d\d)(\d\d)(?!\d)")
_MOST_FOLDERS = 1_000


def schemas(incomplete: str) -> list[str]:
    """Offer the schemas."""
    return [one for one in ("trades", "mbp-10") if one.startswith(incomplete.lower())]


def subjects(incomplete: str) -> list[str]:
    """Offer the words for subjects."""
    return [one for one in SUBJECTS if one.startswith(incomplete)]


def event_types(incomplete: str) -> list[str]:
    """Offer the event types."""
    return [one for one in EVENT_TYPES if one.lower().startswith(incomplete.lower())]


def speeds(incomplete: str) -> list[str]:
    """Offer speeds that are often asked for."""
    return [one for one in ("1", "10", "100", "max") if one.startswith(incomplete)]


def dates(ctx: Any, incomplete: str) -> list[str]:
    """Offer the dates that the names of the data folder's files hold."""
    head, dots, rest = incomplete.rpartition("..")
    folder = Path(ctx.params.get("data_dir") or os.environ.get("SPYCTL_DATA_DIR") or "dbn-data").expanduser()
    found = sorted({"-".join(match) for name in _names(folder) for match in _DAY.findall(name)})
    words = found if dots else [*found, "last", "all"]
    return [f"{head}{dots}{word}" for word in words if word.startswith(rest)]


def _names(folder: Path) -> Iterator[str]:
    for _, _, files in islice(os.walk(folder), _MOST_FOLDERS):
        yield from (name for name in files if ".dbn" in name)


def contexts(incomplete: str) -> list[str]:
    """Offer the contexts of the ``nats`` CLI."""
    from spyctl.bus.access import contexts as known

    return [name for name in known() if name.startswith(incomplete)]


def runs(ctx: Any, incomplete: str) -> list[str]:
    """Offer the runs that the server knows, newest first, where one answers at once."""
    import asyncio

    from spyctl.bus.runs import known_runs
    from spyctl.cli.options import running_server

    try:
        return [run for run in asyncio.run(known_runs(*running_server(ctx.params))) if run.startswith(incomplete)]
    except Exception:  # whatever is wrong, the command itself will say so
        return []
