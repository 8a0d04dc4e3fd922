"""An event that is to be published, as it is written on disk."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyctl.live.pending import Pending, read, written

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PAYLOADS = st.binary(max_size=50).filter(lambda data: b"\n" not in data)
EVENTS = st.builds(Pending, PAYLOADS, TEXT, TEXT, TEXT, st.integers(0, 1 << 62))


@given(st.lists(EVENTS, max_size=10))
def test_what_was_written_is_read_as_it_was(events: list[Pending]) -> None:
    assert list(read(written(events))) == events


@pytest.mark.parametrize("cut", [1, 2, 30])
def test_what_is_not_whole_is_not_read(cut: int) -> None:
    with pytest.raises(ValueError, match="not whole|unexpected"):
        list(read(written([Pending(b'{"price": 1}', "T.1", "market.stocks.trades", "stocks", 5)])[:-cut]))
