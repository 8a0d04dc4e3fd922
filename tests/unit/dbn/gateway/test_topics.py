"""What is asked for, held and unknown."""

from spyctl.dbn.gateway.protocol import Subscription
from spyctl.dbn.gateway.topics import Topics, topics_of


def test_each_symbol_has_a_topic_for_each_schema() -> None:
    assert topics_of(["ES.c.0"]) == {"trades ES.c.0", "mbp-10 ES.c.0"}


def test_one_subscription_for_each_schema() -> None:
    topics = Topics(topics_of(["ES.c.0", "NQ.c.0"]))
    assert topics.subscriptions(7) == [
        Subscription("trades", ["ES.c.0", "NQ.c.0"], 7), Subscription("mbp-10", ["ES.c.0", "NQ.c.0"], 7),
    ]  # fmt: skip


def test_an_acknowledgement_names_its_schema_or_means_all() -> None:
    topics = Topics(topics_of(["ES.c.0"]))
    topics.acknowledge("Subscription request 1 for mbp-10 data succeeded")
    assert (topics.held, topics.complete) == ({"mbp-10 ES.c.0"}, False)
    topics.acknowledge("subscribed")
    assert topics.complete
    topics.disconnected()
    assert not topics.held


def test_an_unknown_symbol_is_not_asked_for_again() -> None:
    topics = Topics(topics_of(["ES.c.0", "ESX.c.0"]))
    topics.acknowledge("all")
    assert topics.reject("Failed to resolve symbol: ESX.c.0") == {"ESX.c.0"}
    assert topics.missing == {"trades ESX.c.0", "mbp-10 ESX.c.0"}
    assert topics.held == topics_of(["ES.c.0"])
    assert topics.complete
    assert [subscription.symbols for subscription in topics.subscriptions(None)] == [["ES.c.0"], ["ES.c.0"]]


def test_a_symbol_within_another_is_not_meant() -> None:
    topics = Topics(topics_of(["ESZ5", "ESZ5-ESH6", "MESZ5"]))
    assert topics.reject("cannot resolve ESZ5-ESH6") == {"ESZ5-ESH6"}
    assert topics.reject("cannot resolve ESZ5.") == {"ESZ5"}


def test_a_refusal_without_names_means_all() -> None:
    topics = Topics(topics_of(["ES.c.0"]))
    assert topics.reject("None of the symbols could be resolved") == {"ES.c.0"}
    assert topics.subscriptions(None) == []
