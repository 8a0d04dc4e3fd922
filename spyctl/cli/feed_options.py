"""The options of commands that use the vendor's live feed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from spyctl.cli.framework import complete
from spyctl.cli.framework.help_page import Panel
from spyctl.cli.options import checked_url
from spyctl.errors import UsageError

FEED = Panel("Feed")


_SYMBOL = re.compile(r"[A-Z]{1,6}(\.[A-Z]{1,2})?", re.ASCII)  # BRK.B too


def _stock_symbol(text: str) -> str:
    if not _SYMBOL.fullmatch(text.upper()):
        raise UsageError(f"--symbol {text!r} is not a stock symbol", "--symbol SPY")
    return text.upper()


def stock_symbols(texts: list[str]) -> list[str]:
    """Read the symbols of several stocks, each once; raises :class:`UsageError`."""
    names = [_stock_symbol(name) for text in texts for name in text.replace(",", " ").split()]
    return list(dict.fromkeys(names))


def spot_sources(texts: list[str], symbols: list[str], futures: Sequence[str]) -> dict[str, str]:
    """Read where the spots of underlyings come from, by underlying; raises :class:`UsageError`.

    ``SPX=ES`` is of one of them, ``ES`` of the indices among them, or of all where there is none. A source is an index
    (``I:SPX``), or what is taken in: one of the ``symbols``, or of the ``futures``, under the name of its events.
    """
    from spyctl.market.index_options import INDEX_PREFIX, index_of

    roots = {symbol.removesuffix(end) for symbol in futures for end in (".c.0", ".v.0", ".n.0") if symbol.endswith(end)}
    taken = {*(symbol for symbol in symbols if index_of(symbol) is None), *futures, *roots}
    spots: dict[str, str] = {}
    for text in texts:
        name, _, source = text.strip().rpartition("=")
        name, source = name.upper(), source if source in futures else source.upper()
        if name and name not in symbols:
            raise UsageError(f"--spot-from {text}: {name} is not among the symbols", f"--symbol {name}")
        if source not in taken and not source.removeprefix(INDEX_PREFIX).isalnum():
            raise UsageError(f"--spot-from {text!r} is not a source", "--spot-from ES, or SPX=I:SPX")
        if source not in taken and not source.startswith(INDEX_PREFIX):
            raise UsageError(f"--spot-from {text}: {source} is not taken in", "--es, --futures or --symbol")
        indices = [symbol for symbol in symbols if index_of(symbol) is not None]
        spots |= dict.fromkeys([name] if name else indices or symbols, source)
    return spots


# Named as the setting is: `symbol` in a file, and SPYCTL_SYMBOL, mean the instruments of a replay.
Underlying = Annotated[
    str,
    typer.Option(
        "--symbol",
        "--underlying",
        envvar="SPYCTL_UNDERLYING",
        metavar="NAME",
        help="The stock whose options are traded.",
        callback=_stock_symbol,
        autocompletion=complete.stocks,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedOptions:
    """Where the vendor's feed and API are; ``None`` means the vendor's own address."""

    feed_url: Annotated[
        str | None,
        typer.Option(
            "--feed-url",
            envvar="SPYCTL_FEED_URL",
            metavar="URL",
            help="WebSocket; default: wss://socket.massive.com.",
            rich_help_panel=FEED.seldom,
        ),
    ] = None
    rest_url: Annotated[
        str | None,
        typer.Option(
            "--rest-url",
            envvar="SPYCTL_REST_URL",
            metavar="URL",
            help="REST API; default: https://api.massive.com.",
            rich_help_panel=FEED.seldom,
        ),
    ] = None
    delayed: Annotated[
        bool,
        typer.Option("--delayed", envvar="SPYCTL_DELAYED", help="Use the delayed feed.", rich_help_panel=FEED),
    ] = False

    def websocket_url(self) -> str:
        """Return the feed's URL; raises :class:`UsageError` for one that does not name a WebSocket server."""
        from spyctl.massive.feed import DELAYED_URL, FEED_URL

        url = self.feed_url or (DELAYED_URL if self.delayed else FEED_URL)
        return checked_url(url, "--feed-url", ("wss", "ws"), "wss://socket.massive.com")

    def api_url(self) -> str:
        """Return the API's URL; raises :class:`UsageError` for one that does not name an HTTP server."""
        from spyctl.massive.rest import REST_URL

        return checked_url(self.rest_url or REST_URL, "--rest-url", ("https", "http"), "https://api.massive.com")


Underlyings = Annotated[
    list[str],
    typer.Option(
        "--symbol",
        "--underlying",
        envvar="SPYCTL_UNDERLYING",
        metavar="NAME",
        help="Stocks or indices whose options are traded.",
        show_default="SPY",
        callback=stock_symbols,
        autocompletion=complete.stocks,
    ),
]
