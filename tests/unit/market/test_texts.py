"""Texts copied many at once: to any place, of any length, whatever order numpy copies in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import spyctl.market.texts as module
from spyctl.market.texts import SideBySide, Texts, repeated

TEXTS = st.lists(st.binary(max_size=300) | st.binary(min_size=60, max_size=70), max_size=40)


@given(TEXTS, st.sampled_from([b"", b"\n", b"--"]))
def test_texts_are_held_as_they_are(given: list[bytes], end: bytes) -> None:
    texts = Texts.of(given, end)
    assert texts.single() == given
    assert texts.lengths.tolist() == list(map(len, given))
    assert texts[::-1].single() == given[::-1]


@given(TEXTS, st.sampled_from([b"", b"\n", b"--"]), st.randoms(use_true_random=False))
def test_lines_are_the_texts_in_their_order_wherever_they_lie(given: list[bytes], end: bytes, random: object) -> None:
    texts, order = Texts.of(given, end), np.random.default_rng(len(given)).permutation(len(given))
    for chosen, expected in (
        (texts, given),
        (texts[1:-1], given[1:-1]),
        (texts[order], [given[i] for i in order]),
    ):
        assert bytes(chosen.lines()) == b"".join(text + b"\n" for text in expected)


def test_lines_that_lie_there_are_not_copied() -> None:
    texts = Texts.of([b"one", b"two", b"three"], b"\n")[1:]
    assert np.shares_memory(np.frombuffer(texts.lines(), np.uint8), texts.data)


@given(TEXTS)
def test_lines_are_split_at_their_newlines(given: list[bytes]) -> None:
    lines = [text.replace(b"\n", b"") + b"\n" for text in given]
    assert Texts.split(b"".join(lines)).single() == lines


@given(st.lists(TEXTS, min_size=1, max_size=3))
def test_groups_are_joined_or_gathered_by_their_numbers(given: list[list[bytes]]) -> None:
    groups = [Texts.of(texts) for texts in given]
    assert Texts.joined(groups).single() == [text for texts in given for text in texts]
    whole = [text for texts in zip(*given, strict=False) for text in texts]
    count, shortest = len(given), min(map(len, given))
    numbers = [np.arange(shortest) * count + i for i in range(count)]
    gathered = Texts.gathered([(at, texts[:shortest]) for at, texts in zip(numbers, groups, strict=True)])
    assert gathered.single() == whole


@pytest.mark.parametrize("in_order", [True, False])
@given(data=st.data())
def test_rows_are_made_of_a_text_of_each_part(in_order: bool, data: st.DataObject) -> None:
    count, width = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 4))
    pool = data.draw(st.lists(st.binary(max_size=40) | st.binary(min_size=15, max_size=20), min_size=1))
    number = st.integers(0, len(pool) - 1)
    chosen = [
        np.array(data.draw(st.lists(number, min_size=size, max_size=size)), np.intp).reshape(shape)
        for size, shape in ((count, count), (count * width, (count, width)), (count, count))
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_in_order", lambda: in_order)
        rows = SideBySide([*(Texts.of(pool)[numbers] for numbers in chosen), repeated(b"|", count)]).joined()
    expected = [
        b"".join([pool[one], *(pool[i] for i in several), pool[other], b"|"])
        for one, several, other in zip(*(numbers.tolist() for numbers in chosen), strict=True)
    ]
    assert rows.single() == expected


def test_a_piece_larger_than_the_cache_is_copied_whole() -> None:
    texts = Texts.of([b"%d" % i * 5_000 for i in range(60)])
    assert SideBySide([texts, repeated(b"\n", 60)]).joined().without(0, 1).single() == texts.single()


def test_numpy_copies_in_order() -> None:
    assert module._in_order()
