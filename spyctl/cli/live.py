"""``spyctl live``: the feeds of the vendor, or of the simulator, onto JetStream."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from spyctl.cli.feed_options import FEED, FeedOptions, Underlyings, spot_sources
from spyctl.cli.framework import complete
from spyctl.cli.framework.loading import loading
from spyctl.cli.framework.origin import is_flag
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.futures_options import FeedChoice, FuturesOptions, gateway_address
from spyctl.cli.keys import required_databento_key, required_massive_key
from spyctl.cli.nats_options import NatsOptions
from spyctl.cli.options import DESTINATION, Json, Metrics, parse_address
from spyctl.errors import UsageError

if TYPE_CHECKING:
    from datetime import date

    from spyctl.cli.live_request import SimulatedMarket
    from spyctl.cli.live_request import Underlyings as UnderlyingsAsked
    from spyctl.live.aggressors import QuoteUse

StrikeRange = Annotated[
    int,
    typer.Option(
        "--strike-range",
        envvar="STRIKE_RANGE",
        metavar="R",
        min=0,
        max=100,
        help="Dollars on either side: 4R+2 contracts.",
    ),
]
Expiry = Annotated[
    str | None,
    typer.Option(
        "--expiry",
        metavar="DAY,…",
        help="0dte (default: today, else the next), next, or days.",
        autocompletion=complete.expiries,
    ),
]
RequireOptions = Annotated[bool, typer.Option("--require-options", help="Exit with code 4 if the plan has no options.")]
SpotFrom = Annotated[
    list[str] | None,
    typer.Option(
        "--spot-from",
        envvar="SPYCTL_SPOT_FROM",
        metavar="NAME",
        help="Of index options; default: the index. ES, SPX=ES.",
        rich_help_panel=FEED.seldom,
    ),
]
Backfill = Annotated[
    bool, typer.Option("--backfill", envvar="SPYCTL_BACKFILL", help="Fill gaps, also behind the last run.")
]
Lasting = Annotated[
    str | None, typer.Option("--for", metavar="TIME", help="Stop cleanly after this long.", rich_help_panel=FEED)
]
SpoolLimit = Annotated[
    str,
    typer.Option(
        "--spool-limit",
        envvar="SPYCTL_SPOOL_LIMIT",
        metavar="SIZE",
        help="Most that may wait on disk while NATS is away.",
        rich_help_panel=DESTINATION,
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Publish beside other data, or take over a lease.", rich_help_panel=DESTINATION.seldom
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteOptions:
    """What to do with the quotes of the options."""

    option_quotes: Annotated[
        bool,
        typer.Option(
            "--option-quotes/--no-option-quotes",
            envvar="SPYCTL_OPTION_QUOTES",
            help="Give option trades a side; off: --no-option-quotes.",
            rich_help_panel=FEED,
        ),
    ] = True
    publish_option_quotes: Annotated[
        bool,
        typer.Option(
            "--publish-option-quotes",
            envvar="SPYCTL_PUBLISH_QUOTES",
            help="Publish these quotes too, on market.options.quotes.",
            rich_help_panel=FEED.seldom,
        ),
    ] = False

    def use(self) -> "QuoteUse":
        """Return what option quotes are good for; raises :class:`UsageError`."""
        from spyctl.live.aggressors import QuoteUse

        if not self.publish_option_quotes:
            return QuoteUse.CLASSIFY if self.option_quotes else QuoteUse.NONE
        if not self.option_quotes:
            raise UsageError("--no-option-quotes and --publish-option-quotes exclude each other", "one of the two")
        return QuoteUse.PUBLISH


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorOptions:
    """Whether to simulate a market, and which one."""

    sim: Annotated[bool, typer.Option("--sim", help="Use a simulated market; needs no key.", rich_help_panel=FEED)] = (
        False
    )
    sim_es: Annotated[bool, typer.Option("--sim-es", help="Simulate ES too; implies --sim.", rich_help_panel=FEED)] = (
        False
    )
    sim_rate: Annotated[
        float,
        typer.Option(
            "--sim-rate", metavar="N", min=0, max=1_000_000, help="Mean events per second.", rich_help_panel=FEED
        ),
    ] = 200.0
    sim_seed: Annotated[
        int, typer.Option("--sim-seed", metavar="N", help="Seed of its random walk.", rich_help_panel=FEED.seldom)
    ] = 7
    sim_trend: Annotated[
        float,
        typer.Option(
            "--sim-trend",
            metavar="USD",
            min=-1_000,
            max=1_000,
            help="Drift in USD per minute.",
            rich_help_panel=FEED.seldom,
        ),
    ] = 0.0
    sim_cut: Annotated[
        str | None,
        typer.Option(
            "--sim-cut",
            metavar="TIME",
            help="Cut the connections this often.",
            rich_help_panel=FEED,
        ),
    ] = None

    @property
    def any(self) -> bool:
        """Whether anything is simulated."""
        return self.sim or self.sim_es

    def market(self) -> "SimulatedMarket":
        """Return the market to simulate; raises :class:`UsageError`."""
        from spyctl.cli.live_request import SimulatedMarket
        from spyctl.timing.instants import SECOND, parse_duration

        cut_ns = parse_duration(self.sim_cut) if self.sim_cut else None
        if cut_ns is not None and cut_ns < SECOND:
            raise UsageError(f"--sim-cut {self.sim_cut} leaves no time to connect", "--sim-cut 30s")
        return SimulatedMarket(self.sim_rate, self.sim_seed, self.sim_trend, cut_ns)


def live(
    context: typer.Context,
    *,
    symbol: Underlyings = ["SPY"],  # noqa: B006 - Typer copies it
    strike_range: StrikeRange = 5,
    expiry: Expiry = None,
    spot_from: SpotFrom = None,
    require_options: RequireOptions = False,
    backfill: Backfill = False,
    quotes: QuoteOptions,
    simulator: SimulatorOptions,
    feed: FeedOptions,
    futures: FuturesOptions,
    lasting: Lasting = None,
    nats: NatsOptions,
    spool_limit: SpoolLimit = "2GB",
    force: Force = False,
    metrics: Metrics = None,
    as_json: Json = False,
) -> int:
    """Publish SPY trades, quotes and 0DTE option trades, and ES, as they happen.

        POLYGON_API_KEY=… spyctl live    the real feed
        DATABENTO_API_KEY=… spyctl live --es    with ES
        spyctl live --sim    a simulated market, no key needed

    No option takes a key: POLYGON_API_KEY or MASSIVE_API_KEY, DATABENTO_API_KEY.
    """
    with loading():
        import asyncio

        from spyctl.cli.live_request import Gateway, LiveRequest, Vendor
        from spyctl.cli.live_request import Underlyings as UnderlyingsAsked
        from spyctl.cli.live_run import run_live
        from spyctl.live.aggressors import QuoteUse
        from spyctl.massive.feed import DELAY_NS
        from spyctl.terminal.text import parse_size
        from spyctl.timing.clock import precise_loop
        from spyctl.timing.instants import parse_duration

    _refuse_idle_options(context, simulator, feed)
    choice = futures.choice(sim_es=simulator.sim_es)
    _refuse_options_of_absent_feeds(context, choice)
    choice = _without_idle_feeds(choice, symbol)
    spots = spot_sources(spot_from or [], symbol, choice.futures)
    asked = UnderlyingsAsked(symbol, strike_range, expiries(expiry) if expiry else [0], spots)
    if "options" in choice.names:
        _refuse_too_many(asked, quotes)
    request = LiveRequest(
        underlyings=asked,
        sim=simulator.market() if simulator.any else None,
        feeds=choice,
        vendor=Vendor(
            api_key=required_massive_key() if choice.equity and not simulator.any else "",
            feed_url=feed.websocket_url(),
            rest_url=feed.api_url(),
            delay_ns=DELAY_NS if feed.delayed else 0,
            gateway=Gateway(
                api_key=required_databento_key() if choice.futures and not simulator.any else "",
                address=gateway_address(futures.es_gateway),
            ),
        ),
        backfill=backfill and (not simulator.any or feed.rest_url is not None),
        quotes=quotes.use() if "options" in choice.names else QuoteUse.NONE,
        require_options=require_options,
        lasting_ns=parse_duration(lasting) if lasting else None,
        spool_limit=parse_size(spool_limit),
        target=nats.target(context, may_embed=simulator.any or nats.embedded),
        prefix=nats.prefix,
        force=force,
        metrics=parse_address(metrics) if metrics else None,
        as_json=as_json,
    )
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        return runner.run(run_live(request, Reporter.of(context)))


def _refuse_idle_options(context: typer.Context, simulator: SimulatorOptions, feed: FeedOptions) -> None:
    # What would do nothing is not taken in silence.
    if not simulator.any:
        for parameter in ("sim_rate", "sim_seed", "sim_trend", "sim_cut"):
            if is_flag(context, parameter):
                option = f"--{parameter.replace('_', '-')}"
                raise UsageError(f"{option} is for the simulated market", f"spyctl live --sim {option} …")
        return
    for option, parameter, given in (
        ("--feed-url", "feed_url", feed.feed_url is not None),
        ("--delayed", "delayed", feed.delayed),
        ("--es-gateway", "es_gateway", True),
    ):
        if given and is_flag(context, parameter):
            raise UsageError(f"--sim and {option} exclude each other", "one of the two")


def _refuse_options_of_absent_feeds(context: typer.Context, choice: FeedChoice) -> None:
    for parameter, option, feed in (
        ("require_options", "--require-options", "options"),
        ("expiry", "--expiry", "options"),
        ("spot_from", "--spot-from", "options"),
        ("delayed", "--delayed", "stocks"),
    ):
        if feed not in choice.names and is_flag(context, parameter):
            raise UsageError(f"{option} is for the {feed} feed, which --feeds leaves out", f"--feeds stocks,{feed}")


def _without_idle_feeds(choice: FeedChoice, symbols: list[str]) -> FeedChoice:
    # An index has no trades and quotes of its own.
    from spyctl.market.index_options import index_of

    if not choice.equity or any(index_of(symbol) is None for symbol in symbols):
        return choice
    if "options" not in choice.names:
        raise UsageError(f"{symbols[0]} is an index: it has options alone", "--feeds stocks,options")
    return choice.without_stocks()


def _refuse_too_many(asked: "UnderlyingsAsked", quotes: QuoteOptions) -> None:
    from spyctl.massive.subscriptions import MAX_OPTION_QUOTES

    contracts = (4 * asked.strike_range + 2) * len(asked.symbols) * len(asked.expiries)
    if quotes.option_quotes and contracts > MAX_OPTION_QUOTES:
        raise UsageError(
            f"--strike-range {asked.strike_range} makes {contracts:,} contracts; a connection has quotes of "
            f"{MAX_OPTION_QUOTES:,} at most",
            "a smaller one, or --no-option-quotes",
        )


def expiries(text: str) -> "list[date | int]":
    """Read which options to hold: ``0dte``, ``next`` or days, separated by commas.

    ``0dte`` and ``next`` are numbers of trading days after the current expiry. Raises :class:`UsageError`.
    """
    words = {"0dte": 0, "next": 1}
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    return list(dict.fromkeys(words[name] if name in words else option_date(name) for name in names))


def option_date(text: str) -> "date":
    """Read an expiry: a trading day that has not passed; raises :class:`UsageError`."""
    import time

    from spyctl.market.option_tickers import LAST_YEAR
    from spyctl.market.sessions import current_expiry, is_trading_day
    from spyctl.timing.instants import NEW_YORK, parse_date

    day, (first, _) = parse_date(text, NEW_YORK), current_expiry(time.time_ns())
    if day < first:
        raise UsageError(f"the options of {day} have expired", f"--expiry {first}, or leave it out")
    if day.year > LAST_YEAR or not is_trading_day(day):
        raise UsageError(f"no options expire on {day:%A} {day}", f"--expiry {first}")
    return day
