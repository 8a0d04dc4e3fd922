"""The published JSON Schemas, read off the dataclasses."""

import dataclasses
from typing import Any

import pytest

from spyctl.market.events import MBP10, FuturesTrade
from spyctl.market.json_schema import json_schema
from spyctl.market.subjects import KINDS

SCHEMAS: dict[type[Any], dict[str, Any]] = {kind.event_type: json_schema(kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.schema_id)
def test_the_json_schema_lists_every_key_in_order(kind: Any) -> None:
    schema = json_schema(kind)
    names = [field.name for field in dataclasses.fields(kind.event_type)]
    assert schema["required"] == list(schema["properties"]) == names
    assert (schema["$id"], schema["x-subject"]) == (kind.schema_id, kind.subject)
    assert schema["title"] == kind.event_type.__name__
    assert "``" not in schema["description"]


def test_an_enum_is_written_as_its_values() -> None:
    assert SCHEMAS[FuturesTrade]["properties"]["aggressor"] == {"type": "integer", "enum": [1, -1, 0]}
    assert SCHEMAS[FuturesTrade]["properties"]["source"]["type"] == "string"


def test_a_key_that_may_be_null_says_so_with_its_default() -> None:
    assert SCHEMAS[FuturesTrade]["properties"]["seq"] == {"type": ["integer", "null"], "default": None}
    conditions = SCHEMAS[FuturesTrade]["properties"]["conditions"]
    assert conditions == {"type": ["array", "null"], "items": {"type": "integer"}, "default": None}


def test_a_book_is_exactly_ten_levels_of_objects() -> None:
    levels = SCHEMAS[MBP10]["properties"]["levels"]
    assert (levels["type"], levels["minItems"], levels["maxItems"]) == ("array", 10, 10)
    assert levels["items"]["properties"]["bid_px"]["type"] == ["number", "null"]
    assert levels["items"]["additionalProperties"] is False
