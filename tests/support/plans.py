"""Plans as the command line makes them: scan, choose, count."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from spyctl.dbn.catalog import scan
from spyctl.dbn.choice import FileQuery, choose_files, parse_days, trading_day_choice
from spyctl.dbn.sort_times import Selection
from spyctl.market.columns import SCHEMAS
from spyctl.replay.plan import Plan, make_plan
from spyctl.timing.instants import MAX_INSTANT


def plan_of(
    root: Path,
    days: Sequence[str] = (),
    selection: Selection | None = None,
    *,
    symbols: tuple[str, ...] = (),
    schemas: tuple[str, ...] = SCHEMAS,
    dataset: str | None = None,
    trading_day: date | None = None,
    speed: float = 1.0,
    max_quiet_ns: int = MAX_INSTANT,
    count: int | None = None,
) -> Plan:
    """Plan a replay of a data folder; no days means all."""
    chosen = trading_day_choice(trading_day) if trading_day is not None else parse_days(days)
    choice = choose_files(scan(root), FileQuery(schemas, chosen, symbols, dataset))
    return make_plan(choice, "", selection or Selection(), speed=speed, max_quiet_ns=max_quiet_ns, count=count)
