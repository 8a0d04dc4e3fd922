"""The event types: immutable, and with the values that every consumer relies on."""

import dataclasses
from typing import Any, get_args

import pytest

from spyctl.market.events import BOOK_DEPTH, MBP10, Aggressor, BidAskLevel, Event, EventSource, FuturesTrade
from spyctl.market.subjects import KINDS


def test_every_event_type_has_a_subject_and_a_schema() -> None:
    assert {kind.event_type for kind in KINDS} == set(get_args(Event))
    assert len({kind.subject for kind in KINDS}) == len({kind.schema_id for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("event_type", get_args(Event))
def test_every_event_begins_with_its_times_and_its_source(event_type: type[Any]) -> None:
    names = [field.name for field in dataclasses.fields(event_type)]
    assert names[:3] == ["ts_event_ns", "ts_recv_ns", "source"]


def test_an_event_cannot_be_changed() -> None:
    trade = FuturesTrade(1, 2, EventSource.DIRECT_FEED, "ES", 6_800.0, 3, Aggressor.BUY)
    with pytest.raises(dataclasses.FrozenInstanceError):
        trade.price = 1.0  # type: ignore[misc]
    book = MBP10(1, 2, EventSource.DIRECT_FEED, "ES", (BidAskLevel(None, 0, None, 0),) * BOOK_DEPTH)
    with pytest.raises(dataclasses.FrozenInstanceError):
        book.levels[0].bid_sz = 1  # type: ignore[misc]


def test_the_side_that_took_liquidity_is_a_signed_number() -> None:
    assert (Aggressor.BUY, Aggressor.SELL, Aggressor.MID) == (1, -1, 0)
