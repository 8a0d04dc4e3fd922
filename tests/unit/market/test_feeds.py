"""The life of a feed, as a table."""

from spyctl.market.feeds import TRANSITIONS, FeedEvent, FeedState

ENDS = {FeedState.REFUSED, FeedState.STOPPED}


def test_the_ends_have_no_way_back_and_everything_else_may_be_lost_or_stopped() -> None:
    left = {state for state, _ in TRANSITIONS}
    assert left == set(FeedState) - ENDS
    for state in left:
        assert TRANSITIONS[state, FeedEvent.STOP] is FeedState.STOPPED
        assert TRANSITIONS[state, FeedEvent.LOST] is FeedState.RECONNECTING


def test_every_state_can_be_reached() -> None:
    reached = {FeedState.CONNECTING}
    for _ in FeedState:
        reached |= {target for (state, _), target in TRANSITIONS.items() if state in reached}
    assert reached == set(FeedState)
