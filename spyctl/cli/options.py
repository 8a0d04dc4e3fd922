"""Options that several commands have, with their environment variables."""

from pathlib import Path
from typing import Annotated

import typer

from spyctl.cli.framework import complete
from spyctl.cli.framework.help_page import OPTIONS, OUTPUT, Panel
from spyctl.errors import AddressError, UsageError

PLAYBACK, DESTINATION, AUTHENTICATION = Panel("Playback"), Panel("Destination"), Panel("Authentication")
_LOOPBACK = "127.0.0.1"


def checked_url(url: str, option: str, schemes: tuple[str, ...], example: str) -> str:
    """Return the URL of a server; raises :class:`UsageError`, which shows nothing secret, for anything else."""
    from urllib.parse import urlsplit

    remedy = f"the key comes from the environment; {option} {example}"
    if "@" in url:
        raise UsageError(f"{option} holds a user or password", remedy)
    if "?" in url or "#" in url:
        raise UsageError(f"{option} does not name a server: it holds more than an address", remedy)
    try:
        parts = urlsplit(url)
        good = parts.scheme in schemes and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or parts.path.strip("/"):
        raise UsageError(f"{option} {url!r} does not name a server", f"{option} {example}")
    return url


def parse_address(text: str) -> tuple[str, int]:
    """Read ``9464``, ``:9464`` (both on loopback), ``0.0.0.0:9464`` or ``[::1]:9464``; raises :class:`AddressError`."""
    host, _, port = text.strip().rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise AddressError(text)
    return host.strip("[]") or _LOOPBACK, int(port)


def _gateway(url: str | None) -> str | None:
    if not url:
        return None
    full = url if "://" in url else f"https://{url}"
    checked_url(full, "--gateway", ("https", "http"), "https://hist.databento.com")
    return url


def _schema(text: str) -> str:
    from spyctl.market.columns import schema_name

    return schema_name(text)


Symbol = Annotated[
    list[str] | None,
    typer.Option(
        "--symbol",
        envvar="SPYCTL_SYMBOL",
        metavar="NAME",
        help="ESZ5, ES.c.0, ES, 'ES*', outright, spread.",
        autocompletion=complete.symbols,
    ),
]
Schema = Annotated[
    list[str] | None,
    typer.Option(
        "--schema",
        envvar="SPYCTL_SCHEMA",
        metavar="NAME",
        help="trades, mbp-10; default: both.",
        parser=_schema,
        autocompletion=complete.schemas,
    ),
]
Dataset = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        envvar="SPYCTL_DATASET",
        metavar="NAME",
        help="One of several datasets: GLBX.MDP3, …",
        rich_help_panel=OPTIONS.seldom,
    ),
]
DataDir = Annotated[
    Path,
    typer.Option("--data-dir", envvar="SPYCTL_DATA_DIR", metavar="DIR", readable=False, help="Folder of DBN files."),
]
Gateway = Annotated[
    str | None,
    typer.Option(
        "--gateway",
        envvar="DATABENTO_GATEWAY",
        metavar="URL",
        help="Another address for Databento's API.",
        callback=_gateway,
        rich_help_panel=OPTIONS.seldom,
    ),
]
Metrics = Annotated[
    str | None,
    typer.Option(
        "--metrics",
        envvar="SPYCTL_METRICS",
        metavar="ADDR",
        help="Serve /metrics, /healthz, /readyz at 9464 or HOST:PORT.",
        rich_help_panel=OUTPUT.seldom,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.", rich_help_panel=OUTPUT)]
