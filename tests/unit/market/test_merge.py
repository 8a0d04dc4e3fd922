"""The order of events against a plain sort, for any input and any chunk size."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyctl.errors import MergeLimitError
from spyctl.market.columns import DTYPES, Names, Rows
from spyctl.market.merge import merge
from spyctl.timing.instants import MAX_INSTANT, SECOND

T0 = 1_000 * SECOND


class ListInput:
    """An input whose rows are given: (sort time, running maximum of ts_recv)."""

    def __init__(self, schema: str, number: int, rows: list[tuple[int, int]], size: int, slack: int) -> None:
        self.schema = schema
        self.rows, self.size, self.slack = rows, size, slack
        self.number = number
        self.done = 0
        self.read_count = 0
        self.bound_ns = rows[0][1] - slack if rows else MAX_INSTANT

    def read(self) -> Rows:
        self.read_count += 1
        part = self.rows[self.done : self.done + self.size]
        found = np.zeros(len(part), DTYPES[self.schema])
        for i, (sort_ns, _) in enumerate(part):
            found[i]["sort_ns"] = sort_ns
            found[i]["symbol"] = self.number
            found[i]["seq"] = self.done + i
        self.done += len(part)
        self.bound_ns = part[-1][1] - self.slack if part else MAX_INSTANT
        return found


def merged(inputs: list[ListInput], **limits: int) -> list[tuple[int, int, int, int]]:
    found = []
    for batch in merge(inputs, Names(), **limits):
        columns = [batch.column(name).tolist() for name in ("sort_ns", "symbol", "seq")]
        found += list(zip(columns[0], batch.is_book().tolist(), columns[1], columns[2], strict=True))
    return found


def rows(steps: list[tuple[int, int]], slack: int) -> list[tuple[int, int]]:
    # Steps of the running maximum, and how far before or after it each row sorts.
    newest, found = T0, []
    for step, offset in steps:
        newest += step
        found.append((newest + min(max(offset, -slack), slack), newest))
    return found


steps = st.lists(st.tuples(st.integers(0, 4), st.integers(-6, 6)), max_size=30)
files = st.lists(st.tuples(st.sampled_from(["trades", "mbp-10"]), steps, st.integers(0, 60)), max_size=5)


@given(files, st.integers(1, 31), st.sampled_from([0, 2, 6]))
def test_batches_come_in_the_order_of_a_plain_sort(found: list[Any], size: int, slack: int) -> None:
    inputs = [
        ListInput(schema, i, [(s + shift, r + shift) for s, r in rows(given_steps, slack)], size, slack)
        for i, (schema, given_steps, shift) in enumerate(found)
    ]
    expected = sorted(
        (sort_ns, int(one.schema == "mbp-10"), one.number, position)
        for one in inputs
        for position, (sort_ns, _) in enumerate(one.rows)
    )
    assert merged(inputs) == expected


def test_ties_go_to_trades_then_to_the_earlier_file_then_to_the_earlier_record() -> None:
    same = [(T0, T0), (T0, T0)]
    inputs = [ListInput(schema, i, same, 1, 0) for i, schema in enumerate(["mbp-10", "trades", "mbp-10", "trades"])]
    assert [row[1:] for row in merged(inputs)] == [
        (0, 1, 0), (0, 1, 1), (0, 3, 0), (0, 3, 1), (1, 0, 0), (1, 0, 1), (1, 2, 0), (1, 2, 1)
    ]  # fmt: skip


def test_a_later_file_is_not_read_before_its_time() -> None:
    early = ListInput("trades", 0, [(T0 + i, T0 + i) for i in range(100)], 10, 0)
    late = ListInput("trades", 1, [(T0 + 1_000, T0 + 1_000)], 10, 0)
    batches = merge([early, late], Names())
    for _ in range(5):
        assert len(next(batches))
    assert (early.read_count, late.read_count) == (5, 0)


def test_only_what_the_window_needs_is_held() -> None:
    one = ListInput("trades", 0, [(T0 + i * SECOND, T0 + i * SECOND) for i in range(1_000)], 10, SECOND)
    batches = merge([one], Names(), max_held=12)
    assert sum(len(batch) for batch in batches) == 1_000


def test_too_much_inside_the_window_is_an_error_with_a_remedy() -> None:
    one = ListInput("trades", 0, [(T0, T0)] * 1_000, 10, SECOND)
    with pytest.raises(MergeLimitError, match="reorder window") as caught:
        merged([one], max_held=100)
    assert caught.value.remedy == "a shorter reorder window, or order by ts_recv"


def test_nothing_gives_nothing() -> None:
    assert merged([]) == []
    assert merged([ListInput("trades", 0, [], 1, 0)]) == []
