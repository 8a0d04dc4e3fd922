"""What the command line asks of ``live``, as a test wants it."""

from typing import Any

from spyctl.bus.target import Target
from spyctl.cli.futures_options import FeedChoice
from spyctl.cli.live_request import LiveRequest, SimulatedMarket, Underlyings, Vendor
from spyctl.live.aggressors import QuoteUse
from spyctl.timing.instants import SECOND

SIM = SimulatedMarket(rate=2_000.0, seed=7, trend=0.0)


def request(url: str = "", **values: Any) -> LiveRequest:
    """Ask for half a second of a simulated SPY onto a server, but for some ``values``."""
    fields: dict[str, Any] = {
        "spool_limit": 0,
        "underlyings": Underlyings(("SPY",), 2), "sim": SIM, "feeds": FeedChoice(),
        "vendor": Vendor("", "", "http://127.0.0.1:1"),
        "backfill": False, "quotes": QuoteUse.NONE, "require_options": False, "lasting_ns": SECOND // 2,
        "target": Target(urls=(url,), named_by="NATS_URL"), "prefix": "", "force": False,
        "metrics": None, "as_json": True,
    }  # fmt: skip
    return LiveRequest(**fields | values)
