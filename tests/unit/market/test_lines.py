"""Messages as lines of JSON."""

import json

from spyctl.market.lines import StreamMessage, json_lines, payload_lines


def test_json_lines_hold_payloads_as_they_are() -> None:
    lines = json_lines([StreamMessage(7, "market.gaps", 9, b'{"a":1}', 0)])
    assert lines == b'{"seq":7,"subject":"market.gaps","stored_ns":9,"event":{"a":1}}\n'
    assert payload_lines([StreamMessage(7, "s", 9, b"x", 0), StreamMessage(8, "s", 9, b"y", 0)]) == b"x\ny\n"


def test_a_payload_that_is_not_an_object_becomes_a_text() -> None:
    assert json.loads(json_lines([StreamMessage(1, "market.gaps", 2, b'"}\xff', 0)]))["undecoded"] == '"}\ufffd'
    lines = json_lines([StreamMessage(1, "market.gaps", 2, b"{\x1b[2J\n}", 0)])
    assert (lines.count(b"\n"), json.loads(lines)["undecoded"]) == (1, "{\x1b[2J\n}")
