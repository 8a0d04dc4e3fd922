"""Plans as the command line makes them: scan, choose, count."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from spyctl.dbn.catalog import scan
from spyctl.dbn.choice import FileQuery, choose_files, parse_days, trading_day_choice
from spyctl.dbn.sort_times import Selection
from spyctl.replay.plan import Plan, make_plan


def plan_of(
    root: Path,
    days: Sequence[str] = (),
    selection: Selection | None = None,
    *,
    symbols: tuple[str, ...] = (),
    dataset: str | None = None,
    trading_day: date | None = None,
    **pace: Any,
) -> Plan:
    """Plan a replay of a data folder; no days means all. ``pace`` is what :func:`make_plan` takes besides."""
    chosen = trading_day_choice(trading_day) if trading_day is not None else parse_days(days)
    choice = choose_files(scan(root), FileQuery(days=chosen, symbols=symbols, dataset=dataset))
    return make_plan(choice, "", selection or Selection(), **pace)
