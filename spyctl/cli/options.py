"""Options that several commands have, with their environment variables."""

from pathlib import Path
from typing import Annotated

import typer

from spyctl.cli.framework import complete
from spyctl.cli.framework.help_page import OUTPUT
from spyctl.errors import UsageError

PLAYBACK, DESTINATION, AUTHENTICATION = "Playback", "Destination", "Authentication"


def _gateway(url: str | None) -> str | None:
    if url and "@" in url:
        raise UsageError("--gateway holds a user or password", "the key comes from DATABENTO_API_KEY; --gateway URL")
    return url


def _schema(text: str) -> str:
    from spyctl.market.columns import schema_name

    return schema_name(text)


Symbol = Annotated[
    list[str] | None,
    typer.Option("--symbol", envvar="SPYCTL_SYMBOL", metavar="NAME", help="ESZ5, ES.c.0, ES, 'ES*', outright, spread."),
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
    typer.Option("--dataset", envvar="SPYCTL_DATASET", metavar="NAME", help="One of several datasets: GLBX.MDP3, …"),
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
        help="Another address of Databento's API.",
        callback=_gateway,
    ),
]
Metrics = Annotated[
    str | None,
    typer.Option(
        "--metrics",
        envvar="SPYCTL_METRICS",
        metavar="ADDR",
        help="Serve /metrics, /healthz, /readyz at 9464 or HOST:PORT.",
        rich_help_panel=OUTPUT,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.", rich_help_panel=OUTPUT)]
