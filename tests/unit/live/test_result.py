"""The summary of a live session, from its first moment to its end."""

import asyncio

from spyctl.errors import ExitCode
from spyctl.live.feed_policy import equity_policies
from spyctl.live.result import summary_of
from spyctl.market.feeds import Arrival, Reject
from spyctl.summary import StopReason
from spyctl.timing.clock import SystemClock
from tests.support.events import quote, trade
from tests.support.live import StillFeed, still_session


def test_before_anything_happened_everything_is_zero_and_nothing_is_complete() -> None:
    document = summary_of(still_session()).document()
    assert [document[name] for name in ("received", "published", "acked", "queued", "gaps", "wall_s")] == [0] * 6
    assert (document["started_ns"], document["stopped_by"], document["complete"]) == (None, None, False)
    assert document["by_subject"]["market.options.trades"] == 0


async def test_a_session_that_was_ended_is_complete_and_accounts_for_all_that_arrived() -> None:
    session = still_session(SystemClock())
    stocks = StillFeed(missing=frozenset({"Q.SPY"}), reconnects=2)
    policies = equity_policies(stocks, StillFeed(name="options"), session.windows)
    running = asyncio.create_task(session.run(policies))
    await asyncio.sleep(0)
    session.arrived(
        Arrival("stocks", [(trade(), "T1"), (trade(), "T1"), (quote(), "Q1")], [Reject("bad_price", "")], ["zero"], 1)
    )
    session.lost("stocks", 5, "reset", 0)
    session.stop(StopReason.DURATION)
    await running
    summary = summary_of(session, "MARKET_DATA")
    document = summary.document()
    assert document["received"] == 4
    assert (document["published"], document["duplicates"], document["rejected"], document["queued"]) == (2, 1, 1, 0)
    assert (document["gaps"], document["gap_records"], document["open_gaps"]) == (1, 1, ["stocks"])
    assert (document["complete"], document["stopped_by"]) == (True, "--for")
    assert (document["missing"], document["feed_reconnects"]) == (["Q.SPY"], {"stocks": 2, "options": 0})
    assert document["noted"] == {"zero": 1}
    assert summary.exit_code is ExitCode.INCOMPLETE
