"""What a server says is taken where its types are right."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyctl.bus.answers import fits, is_info, read_answer

STREAM: dict[str, Any] = {
    "config": {"name": "MARKET_DATA", "subjects": ["market.*"], "max_age": 1, "metadata": {"spyctl": "1"}},
    "state": {"messages": 1, "bytes": 2, "first_seq": 3, "last_seq": 4, "num_deleted": None},
    "created": "2025-12-16T00:00:00Z",
}


def test_an_answer_is_the_document_as_it_is() -> None:
    assert read_answer("STREAM.INFO.MARKET_DATA", orjson.dumps(STREAM)) == STREAM
    assert read_answer("STREAM.NAMES", b'{"streams":null}') == {"streams": None}
    assert read_answer("STREAM.PURGE.X", b'{"success":true}') == {"success": True}


def test_a_refusal_needs_nothing_else() -> None:
    refusal = {"error": {"code": 404, "err_code": 10059, "description": "stream not found"}}
    assert read_answer("STREAM.INFO.MARKET_DATA", orjson.dumps(refusal)) == refusal


@pytest.mark.parametrize(
    ("subject", "document"),
    [
        ("INFO", {"limits": {"max_storage": "much"}}),
        ("INFO", {"limits": []}),
        ("STREAM.INFO.A", {}),
        ("STREAM.INFO.A", STREAM | {"state": {"messages": 1}}),
        ("STREAM.INFO.A", STREAM | {"config": {"name": "A", "max_age": "1"}}),
        ("STREAM.INFO.A", STREAM | {"config": {"name": "A", "subjects": [1]}}),
        ("STREAM.CREATE.A", {"error": "no"}),
        ("STREAM.CREATE.A", {"error": {"code": "no"}}),
        ("STREAM.MSG.GET.A", {"message": {"seq": True, "subject": "a", "time": "t"}}),
        ("CONSUMER.CREATE.A.b", {}),
        ("CONSUMER.LIST.A", {"consumers": [{"name": "c"}]}),
        ("ANY", []),
    ],
)
def test_an_answer_of_other_types_makes_no_sense(subject: str, document: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_answer(subject, orjson.dumps(document))


def test_what_is_not_json_makes_no_sense() -> None:
    for payload in (b"", b"[" * 5_000, b"{", b"\xff"):
        with pytest.raises(ValueError, match=r"."):
            read_answer("INFO", payload)


def test_a_server_may_say_of_itself_what_it_likes_in_the_right_types() -> None:
    assert is_info({"version": "2.14.0", "max_payload": 1, "connect_urls": ["a:1"], "anything": [1]})
    assert not is_info({"max_payload": "1"})
    assert not is_info({"connect_urls": [1]})
    assert not is_info([])


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_a_shape_never_makes_it_raise(value: Any) -> None:
    for shape in (int, [int], {"a": int}, {"a?": [{"b": str}]}):
        fits(value, shape)
