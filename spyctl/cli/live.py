"""``spyctl live``: the feeds of the vendor, or of the simulator, onto JetStream."""

from typing import TYPE_CHECKING, Annotated

import typer

from spyctl.cli.options import (
    WHERE,
    Embedded,
    Json,
    Metrics,
    NatsUrl,
    Port,
    Prefix,
    Store,
    api_key,
    nats_target,
    talk_of,
)
from spyctl.errors import UsageError

if TYPE_CHECKING:
    from datetime import date

FEED = "Which feed"


def _stock_symbol(text: str) -> str:
    if not text.isalpha() or not text.isascii() or len(text) > 6:
        raise UsageError(f"--symbol {text!r} is no stock symbol", "--symbol SPY")
    return text.upper()


Symbol = Annotated[
    str,
    typer.Option("--symbol", envvar="SPYCTL_SYMBOL", metavar="NAME", help="The underlying.", callback=_stock_symbol),
]
FeedUrl = Annotated[
    str | None,
    typer.Option(
        "--feed-url",
        envvar="SPYCTL_FEED_URL",
        metavar="URL",
        help="The WebSocket; wss://socket.massive.com unless named.",
        rich_help_panel=FEED,
    ),
]
RestUrl = Annotated[
    str | None,
    typer.Option(
        "--rest-url",
        envvar="SPYCTL_REST_URL",
        metavar="URL",
        help="The REST API; https://api.massive.com unless named.",
        rich_help_panel=FEED,
    ),
]

Delayed = Annotated[
    bool,
    typer.Option(
        "--delayed", envvar="SPYCTL_DELAYED", help="The feed of plans without real time.", rich_help_panel=FEED
    ),
]


def live(
    context: typer.Context,
    symbol: Symbol = "SPY",
    strike_range: Annotated[
        int,
        typer.Option(
            "--strike-range",
            envvar="STRIKE_RANGE",
            metavar="R",
            min=0,
            max=100,
            help="Whole dollars on either side: 4R+2 contracts.",
        ),
    ] = 5,
    expiry: Annotated[
        str | None,
        typer.Option("--expiry", metavar="DAY", help="Options of this date; unless named, today's, else the next."),
    ] = None,
    require_options: Annotated[
        bool, typer.Option("--require-options", help="End with 4 where the plan has no options.")
    ] = False,
    backfill: Annotated[
        bool, typer.Option("--backfill", envvar="SPYCTL_BACKFILL", help="Fetch the trades of a gap over REST.")
    ] = False,
    sim: Annotated[
        bool, typer.Option("--sim", help="Take a simulated market, which needs no key.", rich_help_panel=FEED)
    ] = False,
    sim_rate: Annotated[
        float,
        typer.Option(
            "--sim-rate",
            metavar="N",
            min=0,
            max=1_000_000,
            help="Its events a second, on average.",
            rich_help_panel=FEED,
        ),
    ] = 200.0,
    sim_seed: Annotated[
        int, typer.Option("--sim-seed", metavar="N", help="Seed of its random walk.", rich_help_panel=FEED)
    ] = 7,
    sim_trend: Annotated[
        float,
        typer.Option(
            "--sim-trend",
            metavar="USD",
            min=-1_000,
            max=1_000,
            help="Dollars a minute that it drifts by.",
            rich_help_panel=FEED,
        ),
    ] = 0.0,
    feed_url: FeedUrl = None,
    rest_url: RestUrl = None,
    delayed: Delayed = False,
    lasting: Annotated[
        str | None,
        typer.Option("--for", metavar="TIME", help="End after this long, in order.", rich_help_panel=FEED),
    ] = None,
    nats_url: NatsUrl = None,
    embedded: Embedded = False,
    store: Store = None,
    port: Port = 4222,
    prefix: Prefix = "",
    force: Annotated[
        bool,
        typer.Option("--force", help="Publish beside other data, or take over a lease.", rich_help_panel=WHERE),
    ] = False,
    metrics: Metrics = None,
    as_json: Json = False,
) -> int:
    """Publish SPY trades, quotes and 0DTE option trades from Massive as they happen.

        POLYGON_API_KEY=… spyctl live    the real feed
        spyctl live --sim    a simulated market, no key needed
        spyctl live --sim --sim-rate 2000 --for 1m --json

    The key comes from POLYGON_API_KEY or MASSIVE_API_KEY, never from an option.
    """
    from spyctl.cli.live_run import LiveRequest, SimulatedMarket, Vendor, run_live
    from spyctl.live.strike_manager import StrikeManager
    from spyctl.massive.feed import DELAYED_URL, FEED_URL
    from spyctl.massive.rest import REST_URL
    from spyctl.metrics import parse_address
    from spyctl.timing.clock import precise_loop
    from spyctl.timing.instants import parse_duration

    for other, given in (("--feed-url", feed_url is not None), ("--delayed", delayed)):
        if sim and given and context.get_parameter_source(other[2:].replace("-", "_")).name == "COMMANDLINE":  # type: ignore[union-attr]
            raise UsageError(f"--sim and {other} exclude each other", "one of the two")
    manager = StrikeManager(strike_range, symbol)
    request = LiveRequest(
        manager=manager,
        expiry=option_date(expiry) if expiry else None,
        sim=SimulatedMarket(sim_rate, sim_seed, sim_trend) if sim else None,
        vendor=Vendor(
            api_key="" if sim else api_key(),
            feed_url=ws_url(feed_url or (DELAYED_URL if delayed else FEED_URL)),
            rest_url=http_url(rest_url or REST_URL),
        ),
        backfill=backfill and (not sim or rest_url is not None),
        require_options=require_options,
        lasting_ns=parse_duration(lasting) if lasting else None,
        target=nats_target(context, nats_url, embedded, port, store, may_embed=sim or embedded),
        prefix=prefix,
        force=force,
        metrics=parse_address(metrics) if metrics else None,
        as_json=as_json,
    )
    import asyncio

    with asyncio.Runner(loop_factory=precise_loop) as runner:
        return runner.run(run_live(request, talk_of(context)))


def option_date(text: str) -> "date":
    """Read an expiry: a trading day that has not passed; raises :class:`UsageError`."""
    import time

    from spyctl.market.option_tickers import LAST_YEAR
    from spyctl.market.sessions import current_expiry, is_trading_day
    from spyctl.timing.instants import parse_date

    day, (first, _) = parse_date(text), current_expiry(time.time_ns())
    if day < first:
        raise UsageError(f"the options of {day} have expired", f"--expiry {first}, or leave it out")
    if day.year > LAST_YEAR or not is_trading_day(day):
        raise UsageError(f"no options expire on {day:%A} {day}", f"--expiry {first}")
    return day


def ws_url(url: str) -> str:
    """Check that a URL names a WebSocket server alone; raises :class:`UsageError`."""
    return _vendor_url(url, "--feed-url", ("wss", "ws"), "wss://socket.massive.com")


def http_url(url: str) -> str:
    """Check that a URL names an HTTP server alone; raises :class:`UsageError`."""
    return _vendor_url(url, "--rest-url", ("https", "http"), "https://api.massive.com")


def _vendor_url(url: str, option: str, schemes: tuple[str, ...], example: str) -> str:
    from urllib.parse import urlsplit

    if "@" in url:
        raise UsageError(
            f"{option} holds a user or password", f"the key comes from the environment; {option} {example}"
        )
    try:
        parts = urlsplit(url)
        good = parts.scheme in schemes and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or parts.path.strip("/") or parts.query:
        raise UsageError(f"{option} {url!r} names no server of its kind", f"{option} {example}")
    return url
