"""The options of ``live`` and ``probe`` that are about futures, and about which feeds there are."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from spyctl.cli.feed_options import FEED
from spyctl.cli.framework import complete
from spyctl.errors import UsageError

if TYPE_CHECKING:
    from spyctl.dbn.gateway.connection import Address

FEEDS = ("stocks", "options", "futures")
EQUITY = FEEDS[:2]
FRONT = "ES.c.0"

EsGateway = Annotated[
    str | None,
    typer.Option(
        "--es-gateway",
        envvar="SPYCTL_ES_GATEWAY",
        metavar="ADDR",
        help="Databento's live gateway, as HOST:PORT.",
        rich_help_panel=FEED.seldom,
    ),
]


def gateway_address(text: str | None) -> "Address":
    """Read the address of a live gateway, the vendor's where there is none; raises :class:`UsageError`."""
    from spyctl.dbn.gateway.connection import PORT, Address

    if not text:
        return Address()
    host, _, port = text.rpartition(":") if ":" in text else (text, "", str(PORT))
    if not host or "/" in host or "@" in host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise UsageError(f"--es-gateway {text!r} is not HOST:PORT", f"--es-gateway localhost:{PORT}")
    return Address(host.strip("[]"), int(port))


@dataclass(frozen=True, slots=True)
class FeedChoice:
    """Which feeds a run takes in, and the symbols of its futures, none without that feed."""

    names: tuple[str, ...] = EQUITY
    futures: tuple[str, ...] = ()

    @property
    def equity(self) -> bool:
        """Whether any of them is the stock vendor's."""
        return any(name in EQUITY for name in self.names)

    def without_stocks(self) -> "FeedChoice":
        """Return the same without the stock feed."""
        return FeedChoice(tuple(name for name in self.names if name != "stocks"), self.futures)


@dataclass(frozen=True, slots=True, kw_only=True)
class FuturesOptions:
    """Which feeds there are, and which futures."""

    es: Annotated[
        bool, typer.Option("--es", envvar="SPYCTL_ES", help="Add ES, from Databento.", rich_help_panel=FEED)
    ] = False
    futures: Annotated[
        list[str] | None,
        typer.Option(
            "--futures",
            envvar="SPYCTL_FUTURES",
            metavar="NAME",
            help="Futures other than ES.c.0: NQ.c.0, ESZ6.",
            autocompletion=complete.live_futures,
            rich_help_panel=FEED.seldom,
        ),
    ] = None
    feeds: Annotated[
        str | None,
        typer.Option(
            "--feeds",
            envvar="SPYCTL_FEEDS",
            metavar="LIST",
            help="Only these: stocks,options,futures.",
            autocompletion=complete.feeds,
            rich_help_panel=FEED.seldom,
        ),
    ] = None
    es_gateway: EsGateway = None

    def choice(self, *, sim_es: bool) -> FeedChoice:
        """Return the feeds that were asked for; raises :class:`UsageError`."""
        names = list(EQUITY)
        if self.feeds is not None:
            names = [name.strip().lower() for name in self.feeds.split(",") if name.strip()]
            if unknown := [name for name in names if name not in FEEDS]:
                raise UsageError(f"--feeds {unknown[0]!r} is not a feed", "some of stocks,options,futures")
        symbols = tuple(dict.fromkeys(self.futures or ()))
        if not symbols and (self.es or sim_es or "futures" in names):
            symbols = (FRONT,)
        elif self.es and FRONT not in symbols:
            symbols = (FRONT, *symbols)
        if odd := [symbol for symbol in symbols if not symbol or set(symbol) & set("|,=\n ")]:
            raise UsageError(f"--futures {odd[0]!r} is not a symbol", f"--futures {FRONT}")
        chosen = tuple(name for name in FEEDS if name in names or (name == "futures" and symbols))
        if not chosen:
            raise UsageError("--feeds names no feed", "some of stocks,options,futures")
        if "options" in chosen and "stocks" not in chosen:
            raise UsageError("--feeds has options without stocks, whose quotes they follow", "--feeds stocks,options")
        return FeedChoice(chosen, symbols)
