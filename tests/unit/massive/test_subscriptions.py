"""The ledger of subscriptions: desired, acknowledged, missing, and what is said again."""

from hypothesis import given
from hypothesis import strategies as st

from spyctl.massive.subscriptions import Reminders, Subscriptions, quote_topics

ACK, AGAIN = 5, 60
TOPICS = frozenset({"T.SPY", "Q.SPY"})


def make(*topics: str) -> Subscriptions:
    subscriptions = Subscriptions(ACK, AGAIN)
    subscriptions.set_desired(topics or TOPICS)
    return subscriptions


def test_a_change_says_what_to_add_and_what_to_remove() -> None:
    subscriptions = make("T.SPY", "Q.SPY")
    assert subscriptions.set_desired({"T.SPY", "T.QQQ"}) == ({"T.QQQ"}, {"Q.SPY"})


def test_acknowledgements_are_read_off_the_vendors_messages() -> None:
    subscriptions = make()
    for message in ("subscribed to: T.SPY", "subscribed to: Q.SPY", "unsubscribed to: T.SPY", "authenticated"):
        subscriptions.acknowledge(message)
    assert subscriptions.held == {"Q.SPY"}
    assert not subscriptions.complete


def test_a_topic_is_asked_for_again_then_missing_then_asked_for_now_and_then() -> None:
    subscriptions = make("T.SPY")
    asked = {}
    for now in range(200):
        reminders = subscriptions.remind(now)
        if reminders.subscribe or reminders.newly_missing:
            asked[now] = (set(reminders.subscribe), set(reminders.newly_missing))
    assert asked == {
        6: ({"T.SPY"}, set()),
        12: ({"T.SPY"}, {"T.SPY"}),
        73: ({"T.SPY"}, set()),
        134: ({"T.SPY"}, set()),
        195: ({"T.SPY"}, set()),
    }
    assert subscriptions.missing == {"T.SPY"}
    assert subscriptions.complete  # all that the vendor is known to grant
    subscriptions.acknowledge("subscribed to: T.SPY")
    assert subscriptions.remind(300) == Reminders()
    assert subscriptions.missing == frozenset()


def test_an_unsubscribe_that_is_not_acknowledged_is_said_again() -> None:
    subscriptions = make()
    for topic in TOPICS:
        subscriptions.acknowledge(f"subscribed to: {topic}")
    assert subscriptions.remind(0) == Reminders()
    subscriptions.set_desired({"T.SPY"})
    reminded = [now for now in range(1, 20) if subscriptions.remind(now).unsubscribe]
    assert reminded == [6, 12, 18]
    subscriptions.acknowledge("unsubscribed to: Q.SPY")
    assert subscriptions.remind(30) == Reminders()


def test_a_new_connection_begins_with_nothing() -> None:
    subscriptions = make()
    subscriptions.acknowledge("subscribed to: T.SPY")
    for now in (0, 6, 12, 18):
        subscriptions.remind(now)
    subscriptions.disconnected()
    assert (subscriptions.held, subscriptions.missing) == (frozenset(), frozenset())
    assert subscriptions.remind(100) == Reminders()  # its patience begins anew


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from(["want", "drop", "ack", "unack"])), max_size=60))
def test_held_and_missing_never_contradict_each_other(moves: list[tuple[str, str]]) -> None:
    subscriptions = Subscriptions(1, 2)
    for now, (topic, move) in enumerate(moves):
        if move in ("want", "drop"):
            wanted = subscriptions.desired | {topic} if move == "want" else subscriptions.desired - {topic}
            subscriptions.set_desired(wanted)
        else:
            subscriptions.acknowledge(f"{'un' if move == 'unack' else ''}subscribed to: {topic}")
        reminders = subscriptions.remind(now)
        assert subscriptions.missing <= subscriptions.desired - subscriptions.held
        assert reminders.subscribe <= subscriptions.desired - subscriptions.held
        assert reminders.unsubscribe <= subscriptions.held - subscriptions.desired


def test_an_acknowledgement_that_comes_late_counts_at_once() -> None:
    subscriptions = make("T.SPY")
    for now in range(20):
        subscriptions.remind(now)
    assert subscriptions.missing == {"T.SPY"}
    subscriptions.acknowledge("subscribed to: T.SPY")
    assert (subscriptions.missing, subscriptions.complete) == (frozenset(), True)


def test_missing_option_quotes_are_unexpected_only_where_others_are_granted() -> None:
    subscriptions = make("T.O:A", "Q.O:A", "Q.O:B")
    assert quote_topics(subscriptions.desired) == {"Q.O:A", "Q.O:B"}
    subscriptions.missing = frozenset({"T.O:A", "Q.O:A"})
    assert subscriptions.unexpectedly(subscriptions.missing) == {"T.O:A", "Q.O:A"}
    subscriptions.missing |= {"Q.O:B"}
    assert subscriptions.unexpectedly(subscriptions.missing) == {"T.O:A"}
