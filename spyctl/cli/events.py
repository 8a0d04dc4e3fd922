"""``spyctl events``: the JSON Schema of each event type."""

from typing import Annotated

import typer

from spyctl.cli.framework import complete
from spyctl.cli.framework.streams import write
from spyctl.errors import UsageError


def events(
    event_type: Annotated[
        str | None,
        typer.Argument(
            metavar="[TYPE]",
            help="A type, schema id or subject, as FuturesTrade.",
            autocompletion=complete.event_types,
        ),
    ] = None,
) -> None:
    """Print the JSON Schema of one event type, or of all.

    spyctl events FuturesTrade
    spyctl events market.gaps
    """
    import orjson

    from spyctl.market.json_schema import json_schema
    from spyctl.market.subjects import KINDS, Kind

    chosen: tuple[Kind, ...] = KINDS
    if event_type is not None:
        wanted = event_type.lower().removeprefix("market.")
        chosen = tuple(
            kind
            for kind in KINDS
            if wanted
            in (
                kind.event_type.__name__.lower(),
                kind.schema_id,
                kind.schema_id.removesuffix(".v1"),
                kind.subject.removeprefix("market."),
            )
        )
        if not chosen:
            names = ", ".join(kind.event_type.__name__ for kind in KINDS)
            raise UsageError(f"there is no event type {event_type!r}", f"one of {names}")
    documents = [json_schema(kind) for kind in chosen]
    document = documents[0] if event_type is not None else documents
    write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
