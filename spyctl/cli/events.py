"""``spyctl events``: the JSON Schema of each event type."""

from typing import TYPE_CHECKING, Annotated

import typer

from spyctl.cli.framework import complete
from spyctl.cli.framework.streams import write_document
from spyctl.errors import UsageError

if TYPE_CHECKING:
    from spyctl.market.subjects import Kind


def events(
    event_type: Annotated[
        str | None,
        typer.Argument(
            metavar="TYPE",
            help="Type, schema id or subject, such as FuturesTrade.",
            autocompletion=complete.event_types,
        ),
    ] = None,
) -> None:
    """Print the JSON Schema of one event type, or of all.

    spyctl events FuturesTrade
    spyctl events market.gaps
    """

    from spyctl.market.json_schema import json_schema
    from spyctl.market.subjects import KINDS

    document = json_schema(_kind(event_type)) if event_type is not None else [json_schema(kind) for kind in KINDS]
    write_document(document)


def _kind(name: str) -> "Kind":
    from spyctl.market.subjects import KINDS

    plain = name.lower().removeprefix("market.")
    for kind in KINDS:
        subject = kind.subject.removeprefix("market.")
        if plain in (kind.event_type.__name__.lower(), kind.schema_id, kind.schema_id.removesuffix(".v1"), subject):
            return kind
    names = ", ".join(kind.event_type.__name__ for kind in KINDS)
    raise UsageError(f"there is no event type {name!r}", f"one of {names}")
