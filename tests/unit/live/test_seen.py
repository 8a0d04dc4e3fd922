"""What was seen is remembered for a while, and no longer."""

from hypothesis import given
from hypothesis import strategies as st

from spyctl.live.seen import Seen


@given(st.lists(st.integers(0, 8).map(str)), st.integers(1, 5))
def test_the_last_identities_are_known_again(identities: list[str], most: int) -> None:
    seen, order = Seen(most), []
    for identity in identities:
        assert seen.add(identity) is (identity not in order)
        if identity not in order:
            order = [*order, identity][-most:]


def test_identities_are_kept_while_somebody_needs_them() -> None:
    seen = Seen(2)
    seen.hold()
    seen.hold()
    assert all(seen.add(identity) for identity in "abcdef")
    assert not any(seen.add(identity) for identity in "abcdef")
    seen.release()
    assert not seen.add("a")
    seen.release()
    assert [seen.add(identity) for identity in "ef"] == [False, False]
    assert seen.add("a")
