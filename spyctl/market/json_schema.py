"""The JSON Schema (draft 2020-12) of each event type, read off its dataclass."""

import types
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from typing import Any, Union, get_args, get_origin

from spyctl.market.events import BOOK_DEPTH
from spyctl.market.subjects import HINTS, Kind


def json_schema(kind: Kind) -> dict[str, Any]:
    """Describe one event type as a JSON Schema (draft 2020-12) document."""
    # Python without docstrings (-OO) has none here either, and a dataclass then writes its signature there.
    text = (kind.event_type.__doc__ or "") if __doc__ else ""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": kind.schema_id,
        "title": kind.event_type.__name__,
        "description": " ".join(text.split()).replace("``", ""),
        "x-subject": kind.subject,
    }
    return head | _object_schema(kind.event_type)


def _object_schema(event_type: type[Any]) -> dict[str, Any]:
    hints = HINTS[event_type]
    properties = {}
    for field in fields(event_type):
        schema = _type_schema(hints[field.name])
        if field.default is not MISSING:
            schema["default"] = field.default
        properties[field.name] = schema
    return {
        "type": "object",
        "properties": properties,
        "required": list(hints),
        "additionalProperties": False,
    }


_JSON_TYPES = {int: "integer", float: "number", str: "string", bool: "boolean"}


def _type_schema(hint: Any) -> dict[str, Any]:
    if get_origin(hint) in (Union, types.UnionType):
        inner = _type_schema(next(arg for arg in get_args(hint) if arg is not type(None)))
        return inner | {"type": [inner["type"], "null"]}
    if get_origin(hint) is tuple:
        items = _type_schema(get_args(hint)[0])
        return {"type": "array", "items": items, "minItems": BOOK_DEPTH, "maxItems": BOOK_DEPTH}
    if get_origin(hint) is list:
        return {"type": "array", "items": _type_schema(get_args(hint)[0])}
    if is_dataclass(hint):
        assert isinstance(hint, type)
        return _object_schema(hint)
    if issubclass(hint, Enum):
        values = [member.value for member in hint]
        return {"type": _JSON_TYPES[type(values[0])], "enum": values}
    return {"type": _JSON_TYPES[hint]}
