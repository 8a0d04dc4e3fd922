"""What follows from the vendor's words."""

import pytest

from spyctl.massive.key_standing import KeyStanding
from spyctl.massive.normalize import Status
from spyctl.massive.statuses import AUTH_FAILED, EVICTED, MAX_COMPLAINTS, Statuses
from spyctl.massive.subscriptions import Subscriptions
from spyctl.timing.ending import Ending
from tests.support.clock import FakeClock


def make() -> tuple[Statuses, Ending, Subscriptions, list[str]]:
    ending, subscriptions, notes = Ending(), Subscriptions(5, 60), list[str]()
    standing = KeyStanding(FakeClock(), max_evictions=3, refusals_ns=300)
    return Statuses("stocks", subscriptions, standing, ending, notes.append), ending, subscriptions, notes


@pytest.mark.parametrize(
    ("statuses", "let_in", "reason"),
    [
        (["auth_success"], True, ""),
        (["connected", "auth_success"], True, ""),
        (["connected"], False, ""),  # the answer is still to come
        (["auth_success", EVICTED], False, EVICTED),
        ([AUTH_FAILED], False, AUTH_FAILED),
        ([], False, "no authentication"),
        (["auth_timeout"], False, "no authentication"),
    ],
)
def test_an_answer_to_the_key_lets_us_in_or_ends_the_connection(statuses: list[str], let_in: bool, reason: str) -> None:
    desk, ending, _, _ = make()
    assert desk.authenticate(Status(status, f"words of {status}") for status in statuses) is let_in
    assert ending.reason == reason
    if reason == AUTH_FAILED:
        assert desk.words == "words of auth_failed"


def test_acknowledgements_and_complaints_are_told_apart() -> None:
    desk, ending, subscriptions, notes = make()
    desk.take(Status("success", "subscribed to: T.SPY"))
    assert (subscriptions.held, desk.words, notes) == ({"T.SPY"}, "", [])
    desk.take(Status("error", "not authorized"))
    assert (desk.words, notes, ending.asked) == ("not authorized", ["stocks: error: not authorized"], False)
    desk.take(Status("slow_consumer", ""))
    assert (desk.words, ending.reason) == ("slow_consumer", "slow_consumer")


def test_a_complaint_that_is_repeated_is_told_once_and_then_counted() -> None:
    desk, _, _, notes = make()
    for _ in range(120):
        desk.take(Status("error", "not authorized"))
    text = "stocks: error: not authorized"
    assert notes == [text, f"{text} (10 times)", f"{text} (100 times)"]
    for n in range(2 * MAX_COMPLAINTS):
        desk.take(Status("error", f"complaint {n}"))
    assert len(notes) < MAX_COMPLAINTS + 10


def test_evictions_are_an_alarm_from_the_second_one_on_and_permanent_with_the_third() -> None:
    desk, _, _, notes = make()
    refusals = []
    for _ in range(3):
        desk.take(Status(EVICTED, "exceeded "))
        refusals.append(desk.permanent_refusal(EVICTED))
    assert [note.partition(" (")[0] for note in notes] == [
        "stocks: this key had a connection already",
        "stocks: another process uses this key",
        "stocks: another process uses this key",
    ]
    assert refusals[:2] == [None, None]
    assert refusals[2] is not None
    assert "took over the stocks feed 3 times: exceeded" in refusals[2].message


def test_a_refusal_is_permanent_for_a_key_that_was_never_good_and_other_reasons_never_are() -> None:
    desk, _, _, _ = make()
    desk.authenticate([Status(AUTH_FAILED, "Unknown API Key")])
    refusal = desk.permanent_refusal(AUTH_FAILED)
    assert refusal is not None
    assert refusal.message == "the stocks feed refuses the key: Unknown API Key"
    good, _, _, _ = make()
    good.authenticate([Status("auth_success", "")])
    assert good.permanent_refusal(AUTH_FAILED) is None
    assert good.permanent_refusal("closed with 1006") is None
