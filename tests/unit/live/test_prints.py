"""Equal option prints are told apart, whichever source they come from."""

from hypothesis import given
from hypothesis import strategies as st

from spyctl.live.prints import OptionPrints


def test_equal_prints_are_numbered_by_their_sequences_and_copies_have_the_same_number() -> None:
    prints = OptionPrints()
    assert [prints.name("T.A", seq) for seq in (7, 9, 7, 8, 9)] == ["T.A", "T.A.2", "T.A", "T.A.3", "T.A.2"]
    assert prints.name("T.B", 7) == "T.B"


def test_without_a_sequence_a_print_is_the_first() -> None:
    prints = OptionPrints()
    assert [prints.name("T.A", seq) for seq in (None, 0, None)] == ["T.A"] * 3


def test_memory_is_bounded() -> None:
    prints = OptionPrints(2)
    for identity in ("A", "B", "C"):
        prints.name(identity, 1)
    assert len(prints._sequences) == 2
    assert prints.name("A", 2) == "A"


@given(st.lists(st.integers(1, 9)))
def test_as_many_names_as_sequences(seqs: list[int]) -> None:
    prints = OptionPrints()
    assert len({prints.name("T.A", seq) for seq in seqs}) == len(set(seqs))
