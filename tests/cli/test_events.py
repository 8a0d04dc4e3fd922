"""``spyctl events``: the JSON Schema of each event type."""

import json

from spyctl.market.events import FuturesTrade
from spyctl.market.subjects import KINDS
from tests.conftest import Cli


def test_events_prints_the_schema_of_one_type_or_of_all(cli: Cli) -> None:
    assert [one["$id"] for one in json.loads(cli("events").stdout)] == [kind.schema_id for kind in KINDS]
    for name in ("FuturesTrade", "futures.trades", "futures.trades.v1", "market.futures.trades"):
        assert json.loads(cli("events", name).stdout)["title"] == FuturesTrade.__name__
    result = cli("events", "Nonsense")
    assert result.returncode == 2
    assert "one of StockTrade, StockQuote" in result.stderr
