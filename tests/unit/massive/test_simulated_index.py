"""A simulated index: values and options, as the vendor sends them."""

from collections import Counter

from spyctl.market.events import EventSource
from spyctl.massive.normalize import INDICES, OPTIONS, normalize
from spyctl.massive.simulated_index import START_VALUE, IndexWalk
from tests.unit.massive.test_normalize import MS, RECV

TOPICS = ["T.O:SPXW251216C06800000", "T.O:SPX251216C06800000"]


def test_an_index_has_values_and_options_of_its_root() -> None:
    messages = IndexWalk(7, "SPXW", first_id=0).step(300, MS, TOPICS)
    kinds = Counter(message["ev"] for message in messages)
    assert set(kinds) == {"V", "T"}
    values = normalize([message for message in messages if message["ev"] == "V"], INDICES, RECV, EventSource.SIM)
    assert (values.rejects, {value.symbol for value in values.values}) == ([], {"I:SPX"})
    assert all(abs(value.value - START_VALUE) < 5 for value in values.values)
    trades = normalize([message for message in messages if message["ev"] == "T"], OPTIONS, RECV, EventSource.SIM)
    assert {event.underlying for event, _ in trades.events} == {"SPXW"}  # type: ignore[union-attr]
